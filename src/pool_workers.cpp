// Workers come and go.
#include <algorithm>

#include <multiproc/errors.hpp>

#include "insist.hpp"
#include "pool_engine.hpp"
#include "worker_limits.hpp"

namespace multiproc::detail {
namespace {

constexpr ChannelSizes ring_sizes{256 * 1024, 256 * 1024};
// So many workers in a row that end before they are ready break the pool.
constexpr std::size_t failed_starts_limit = 3;
// So do so many that were ready and ended before they did anything, while tasks were waiting for them.
constexpr std::size_t idle_deaths_limit = 20;
// How often one tries to send what a worker's ring does not take, and for how long.
constexpr auto send_interval = std::chrono::milliseconds(2);
constexpr auto send_patience = std::chrono::seconds(10);

}  // namespace

// May be called without the mutex.
std::unique_ptr<PoolEngine::Worker> PoolEngine::start_worker() {
    auto worker = std::make_unique<Worker>();
    worker->serial = next_serial_++;
    ChildOptions options;
    options.role = Role::pool_worker;
    options.sizes = ring_sizes;
    options.method = settings_.start_method;
    options.name = settings_.name + "-" + std::to_string(worker->serial);
    options.daemon = true;
    options.doorbell = doorbell_segment_.handle();
    options.waiter_slot = waiter_slot_;
    options.service_slot = service_slot_;
    options.memory_limit = settings_.memory_limit;
    options.is_confined = settings_.is_sandboxed;
    options.block_signal = block_signal_;
    options.preload = preload_;
    // Also what a pool in the worker has as its share.
    if (settings_.limits_threads)
        options.threads = static_cast<std::uint32_t>(std::max<std::size_t>(processor_share(processors_) / size_, 1));
    retain();
    options.on_exit = [self = EngineRef(this), serial = worker->serial] { self->on_child_exit(serial); };
    {
        const std::lock_guard exits(exits_mutex_);
        exited_.reserve(exited_.size() + living_ + 1);  // so that an end can be noted without memory
        ++living_;
    }
    try {
        worker->child = std::make_unique<Child>(std::move(options));
    } catch (...) {
        const std::lock_guard exits(exits_mutex_);
        --living_;
        throw;
    }
    return worker;
}

// Puts a started worker to work: first of all its initializer. The service thread looks at `has_exits_` after this. If it
// throws, the worker is in the list, where the end of the pool finds it, or ends.
void PoolEngine::install(std::unique_ptr<Worker> started) {
    Worker& worker = *started;
    try {
        workers_.push_back(std::move(started));
    } catch (...) {
        worker.child->signal(os::Signal::kill);
        throw;
    }
    worker.started = worker.idle_since = os::Clock::now();
    worker.tally.name = settings_.name + "-" + std::to_string(worker.serial);
    worker.tally.pid = worker.child->pid();
    if (trace_) trace_->add_worker(worker.serial, worker.tally.name, worker.tally.pid);
    if (set_up_) {
        worker.set_up = internal_batch(set_up_);
        prepare(worker);
    }
    may_be_idle_ = true;
    // Whoever learned of its end before this found no such worker.
    if (std::erase(early_exits_, worker.serial) == 0) return;
    const std::lock_guard exits(exits_mutex_);
    exited_.push_back(worker.serial);
    has_exits_.store(true, std::memory_order_release);
}

// Sends a worker what it runs first. It gets nothing else until that is in its ring.
void PoolEngine::prepare(Worker& worker) {
    if (worker.is_prepared() || !worker.is_staying()) return;
    if (!dispatch(worker, worker.set_up)) return note_late(worker, set_up_name());
    may_be_idle_ = true;
}

// What could not be sent before: what a worker runs first, what it runs last, or the word to leave.
void PoolEngine::send_what_is_late() {
    if (!has_late_) return;
    for (const auto& worker : workers_) {
        if (!worker->is_late()) continue;
        if (worker->is_stopping) {
            retire(*worker);
        } else {
            prepare(*worker);
        }
    }
    has_late_ = std::ranges::any_of(workers_, [](const auto& worker) { return worker->is_late(); });
}

// A worker without tasks whose ring takes nothing: it has no room, or too many handles are on their way, which passes as
// soon as the worker reads. If it does not, nobody can tell why, but whoever waits for it must not do so for ever.
void PoolEngine::note_late(Worker& worker, const std::string& what) {
    has_late_ = true;
    const std::uint64_t position = worker.child->tasks().bottom();
    const os::Clock::time_point now = os::Clock::now();
    // It may sleep for ever, because the workers that were late until now run something.
    if (service_asleep_ && service_deadline_ > now + send_interval) doorbell_.wake_service();
    const bool is_ready = worker.in_flight.empty() && worker.child->phase() == Phase::running;
    if (!is_ready || worker.late_since == os::Clock::time_point() || position != worker.late_position) {
        worker.late_since = now;
        worker.late_position = position;
    } else if (now - worker.late_since > send_patience) {
        break_pool("the " + what + " cannot be sent to a worker" +
                   (worker.refusal.empty() ? "" : " (" + worker.refusal + ")"));
    }
}

// When to try again. A worker that runs something tells of its end.
os::Deadline PoolEngine::check_late() const noexcept {
    if (!has_late_) return os::never;
    const bool is_soon = std::ranges::any_of(
        workers_, [](const auto& worker) { return worker->is_late() && worker->in_flight.empty(); });
    return is_soon ? os::Clock::now() + send_interval : os::never;
}

// One call per worker and occasion, and none that is done already: a dead worker's may have failed.
Batch PoolEngine::internal_batch(const InternalCall& internal) {
    const StoredCall& stored = internal.call;
    auto block = std::make_shared<ItemBlock>();
    block->task = &refer(stored.target);
    CallRef call(calls_.allocate(*this, *block->task));
    retain();
    call->need_details().is_internal = true;
    block->add_single(std::move(call));
    block->prefix = block->size = stored.bytes.size();
    block->lease = internal.lease;
    if (!block->is_spilled()) {
        block->bytes.reset(new std::byte[block->size + 1]);
        std::ranges::copy(stored.bytes, block->bytes.get());
    }
    block->attachments = stored.attachments;
    const std::size_t offset = block->size;
    return {std::move(block), 0, 1, 0, offset};
}

// On a thread of the library, which must go on at once.
void PoolEngine::on_child_exit(std::uint64_t serial) noexcept {
    {
        const std::lock_guard exits(exits_mutex_);
        exited_.push_back(serial);
        --living_;
        has_exits_.store(true, std::memory_order_release);
        exits_changed_.notify_all();
    }
    doorbell_.wake_waiter();
    doorbell_.wake_service();
}

std::optional<std::uint64_t> PoolEngine::next_exit() noexcept {
    const std::lock_guard exits(exits_mutex_);
    if (exited_.empty()) {
        has_exits_.store(false, std::memory_order_relaxed);
        return std::nullopt;
    }
    const std::uint64_t serial = exited_.front();
    exited_.erase(exited_.begin());
    return serial;
}

void PoolEngine::handle_exits() {
    while (const std::optional<std::uint64_t> serial = next_exit()) {
        const auto found =
            std::ranges::find_if(workers_, [&](const auto& worker) { return worker->serial == *serial; });
        if (found == workers_.end()) {
            early_exits_.push_back(*serial);  // it ended before it was installed
            continue;
        }
        bury(**found);  // still in the list, so that its tasks fail with the others' if this throws
        if (!(*found)->is_stopping) ++lost_workers_;
        note_gone(**found);
        if (is_spinning_) graves_.push_back(std::move(*found));
        workers_.erase(found);
    }
    tell_changed();
}

// A worker has ended: what it had finished counts, what it was running fails, what it had not begun goes elsewhere.
void PoolEngine::bury(Worker& worker) {
    drain(worker);
    if (!worker.is_broken) salvage(worker);
    const Phase phase = worker.child->phase();
    const bool has_arrived = phase != Phase::launched && phase != Phase::wrong_build;
    const bool is_ready = worker.is_initialised || (!set_up_ && has_arrived);
    bool has_run = worker.is_stopping || worker.is_condemned;
    if (is_ready) {
        failed_starts_ = 0;
        if (may_retry(worker)) {
            has_run = true;
        } else {
            fail_running(worker);
        }
    }
    has_run = has_run || worker.tally.tasks != 0;
    idle_deaths_ = has_run || outstanding_ == 0 ? 0 : idle_deaths_ + 1;
    requeue(worker);
    if (idle_deaths_ >= idle_deaths_limit)
        break_pool("its workers end before they run anything; the last one " + to_string(worker.child->status()));
    if (!is_ready && !worker.is_stopping && !worker.is_condemned) note_failed_start(worker);
}

// The item that a dead worker was running has that death as its result. What a worker that sent nonsense says about its
// progress is nothing to go by: it may have run whatever it has begun, and none of that is run again.
void PoolEngine::fail_running(Worker& worker) {
    for (bool is_first = true; !worker.in_flight.empty(); is_first = false) {
        const Dispatch& running = worker.in_flight.front();
        if (is_internal(running)) return;
        const bool is_doubtful = worker.is_broken && is_first;
        if (!is_doubtful && !worker.child->tasks().is_begun(running.position)) return;
        const std::uint32_t failed = worker.is_broken ? running.batch.count - running.received : 1;
        note_failed(worker, running, failed);
        const ErrorMaker died =
            worker.verdict
                ? worker.verdict
                : maker_of(WorkerDied(worker.child->status(), worker.child->pid(), running.batch.block->task->name));
        for (std::uint32_t i = 0; i < failed; ++i) {
            const std::uint64_t index = running.batch.first + running.received;
            running.batch.block->call_of(index).add_error(index, died);
            finish_items(worker, 1);
        }
        if (!worker.is_broken) return;
    }
}

// Whether the task that a dead worker was running is to be tried again, and then counts the attempt.
bool PoolEngine::may_retry(Worker& worker) {
    if (worker.in_flight.empty() || worker.is_broken || worker.is_condemned) return false;
    Dispatch& running = worker.in_flight.front();
    const CallState& call = running.batch.block->call_of(running.batch.first + running.received);
    if (call.is_internal() || call.is_done() || !worker.child->tasks().is_begun(running.position)) return false;
    const std::uint32_t attempts = running.received == 0 ? running.batch.attempts + 1 : 1;
    if (attempts > static_cast<std::uint64_t>(call.options().retries.value())) return false;
    running.attempts = attempts;
    return true;
}

// Puts what has no result back to the front of the queue, in its old order.
void PoolEngine::requeue(Worker& worker) {
    for (; !worker.in_flight.empty(); worker.in_flight.pop_back()) {
        const Dispatch& dispatch = worker.in_flight.back();
        Batch batch = dispatch.batch;
        const ItemBlock& block = *batch.block;
        if (block.call_of(batch.first + dispatch.received).is_internal()) continue;
        std::size_t offset = batch.offset;
        for (std::uint32_t i = 0; i < dispatch.received; ++i) offset = block.next(offset);
        batch.take(dispatch.received, offset);
        batch.attempts = dispatch.attempts;
        if (state_ != State::running && state_ != State::closing) {  // nobody will come for it
            const std::uint32_t calls = block.call ? 1 : batch.count;
            for (std::uint32_t i = 0; i < calls; ++i) {
                CallState& call = block.call_of(batch.first + i);
                call.fail(maker_of(BrokenPool(broken_text_)));
                call_done(call);
            }
            continue;
        }
        if (block.call) {
            block.call->details()->waiting += batch.count;
            if (block.is_spilled()) ++block.call->details()->waiting_segments;
        }
        pending_.push_front(std::move(batch));
    }
}

void PoolEngine::note_failed_start(const Worker& worker) {
    ++failed_starts_;
    if (failed_starts_ < failed_starts_limit && worker.child->phase() != Phase::wrong_build) return;
    break_pool("its workers end before they are ready; the last one " + to_string(worker.child->status()) +
               (worker.child->phase() == Phase::running
                    ? " while it ran the " + set_up_name()
                    : "; main() must call multiproc::freeze_support() as its first line, and standard error of the "
                      "workers says more"));
}

// Items that a dead worker had finished but not sent.
void PoolEngine::salvage(Worker& worker) {
    if (worker.in_flight.empty()) return;
    const Dispatch& running = worker.in_flight.front();
    if (!worker.child->tasks().is_begun(running.position)) return;
    ResultMessage message = read_unfinished_record(worker.child->results());
    if (message.count == 0 || message.id != running.id) return;
    try {
        deliver(worker, message);
    } catch (const CodecError&) {
        // It refers to something that did not come with it, so it was not complete.
    } catch (const std::system_error&) {}
}

// Starts workers in the place of those that ended. The mutex is not held while one starts.
void PoolEngine::replace_missing(std::unique_lock<std::mutex>& lock) {
    for (;;) {
        if (has_exits_.load(std::memory_order_acquire)) handle_exits();
        const bool wanted = state_ == State::running || (state_ == State::closing && !all_done());
        const std::size_t leaving = static_cast<std::size_t>(
            std::ranges::count_if(workers_, [](const auto& worker) { return worker->is_stopping; }));
        if (!wanted || service_stop_ || workers_.size() - leaving >= wanted_workers()) {
            lost_workers_ = 0;
            return;
        }
        lock.unlock();
        std::unique_ptr<Worker> worker;
        std::string why;
        try {
            worker = start_worker();
        } catch (const std::exception& error) { why = error.what(); }
        lock.lock();
        if (!worker) {
            // A limit may be reached for now. With other workers left the pool goes on with those.
            if (workers_.empty()) break_pool("a worker ended and no other could be started: " + why);
            return;
        }
        if (lost_workers_ != 0) {  // else it is one more, or in the place of one that left in good order
            --lost_workers_;
            ++past_.restarts;
        }
        if (state_ != State::running && state_ != State::closing) worker->child->signal(os::Signal::kill);
        install(std::move(worker));
        feed();
    }
}

// Workers on demand: all of them while tasks are waiting that nobody takes, else those that are there.
std::size_t PoolEngine::wanted_workers() const noexcept {
    if (!is_on_demand() || !pending_.empty()) return size_;
    const auto staying = static_cast<std::size_t>(
        std::ranges::count_if(workers_, [](const auto& worker) { return !worker->is_stopping; }));
    return std::min(staying, size_.load());
}

void PoolEngine::note_idle(Worker& worker) noexcept {
    worker.idle_since = os::Clock::now();
    if (worker.idle_since + settings_.idle_timeout < service_deadline_) doorbell_.wake_service();
}

// Ends workers that have had nothing to do for too long; when to look again.
os::Deadline PoolEngine::check_idle() {
    if (!is_on_demand() || state_ != State::running) return os::never;
    os::Deadline next = os::never;
    const os::Clock::time_point now = os::Clock::now();
    for (const auto& worker : workers_) {
        if (!worker->in_flight.empty() || !worker->is_usable()) continue;
        const os::Deadline end = worker->idle_since + settings_.idle_timeout;
        if (end <= now) {
            retire(*worker);
        } else {
            next = std::min(next, end);
        }
    }
    return next;
}

void PoolEngine::break_pool(const std::string& why) {
    if (state_ != State::running && state_ != State::closing) return;
    state_ = State::broken;
    ErrorMaker error;
    insist([&] {
        broken_text_ = "multiproc: the pool is broken: " + why;
        error = maker_of(BrokenPool(broken_text_));
    });
    fail_everything(error);
    for (const auto& worker : workers_) worker->child->signal(os::Signal::kill);
}

// Tells a worker to leave when it has done what it has. If its ring takes nothing now, that is gone on with later.
void PoolEngine::retire(Worker& worker) {
    worker.is_stopping = true;
    if (worker.is_condemned) return;
    if (worker.child->has_exited()) return;
    // What was never initialised has nothing to finalize.
    if (finalizer_ && !worker.is_finalizing && worker.is_prepared()) {
        Batch batch = internal_batch(finalizer_);
        worker.is_finalizing = dispatch(worker, batch);
        if (!worker.is_finalizing) return note_late(worker, "finalizer");
    }
    if (!worker.is_told_to_stop) worker.is_told_to_stop = worker.child->send_stop();
    if (!worker.is_told_to_stop) note_late(worker, "word to leave");
}

// In a closed pool: workers leave when there is nothing left that could need them.
void PoolEngine::retire_idle() {
    if (!all_done()) return;
    for (const auto& worker : workers_)
        if (!worker->is_broken) retire(*worker);
}

}  // namespace multiproc::detail
