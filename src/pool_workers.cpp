// Workers come and go.
#include <algorithm>

#include <multiproc/errors.hpp>

#include "pool_engine.hpp"

namespace multiproc::detail {
namespace {

constexpr ChannelSizes ring_sizes{256 * 1024, 256 * 1024};
// So many workers in a row that end before they are ready break the pool.
constexpr std::size_t failed_starts_limit = 3;

std::shared_ptr<CallState> internal_call(const StoredCall& stored) {
    auto call = std::make_shared<CallState>();
    call->task = refer(stored.target);
    call->is_internal = true;
    call->items = 1;
    call->is_complete = true;
    return call;
}

ItemBlock block_of(const StoredCall& stored) {
    ItemBlock block;
    block.size = stored.bytes.size();
    block.bytes.reset(new std::byte[block.size + 1]);
    std::ranges::copy(stored.bytes, block.bytes.get());
    block.prefix = block.size;
    return block;
}

}  // namespace

// May be called without the mutex.
std::unique_ptr<PoolEngine::Worker> PoolEngine::start_worker() {
    auto worker = std::make_unique<Worker>();
    {
        const std::lock_guard exits(exits_mutex_);
        worker->serial = next_serial_++;
        ++living_;
    }
    ChildOptions options;
    options.role = Role::pool_worker;
    options.sizes = ring_sizes;
    options.method = settings_.start_method;
    options.name = settings_.name + "-" + std::to_string(worker->serial);
    options.daemon = true;
    options.doorbell = doorbell_segment_.handle();
    options.waiter_slot = waiter_slot_;
    options.service_slot = service_slot_;
    options.on_exit = [weak = weak_from_this(), serial = worker->serial] {
        if (const auto self = weak.lock()) self->on_child_exit(serial);
    };
    try {
        worker->child = std::make_unique<Child>(std::move(options));
    } catch (...) {
        const std::lock_guard exits(exits_mutex_);
        --living_;
        throw;
    }
    return worker;
}

// Puts a started worker to work: first of all its initializer.
void PoolEngine::install(std::unique_ptr<Worker> worker) {
    if (settings_.initializer) {
        // One call per worker, and none that is done already: a dead worker's may have failed.
        const std::shared_ptr<CallState> call = internal_call(settings_.initializer);
        Batch batch{call, std::make_shared<const ItemBlock>(block_of(settings_.initializer)), 0, 1, 0};
        batch.offset = batch.block->prefix;
        dispatch(*worker, batch);
    }
    workers_.push_back(std::move(worker));
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

void PoolEngine::handle_exits() {
    std::vector<std::uint64_t> serials;
    {
        const std::lock_guard exits(exits_mutex_);
        serials.swap(exited_);
        has_exits_.store(false, std::memory_order_relaxed);
    }
    for (const std::uint64_t serial : serials) {
        const auto found =
            std::ranges::find_if(workers_, [serial](const auto& worker) { return worker->serial == serial; });
        if (found == workers_.end()) {
            early_exits_.push_back(serial);  // it ended before it was installed
            continue;
        }
        bury(**found);  // still in the list, so that its tasks fail with the others' if this throws
        workers_.erase(found);
    }
    changed_.notify_all();
}

// A worker has ended: what it had finished counts, what it was running fails, what it had not begun goes elsewhere.
void PoolEngine::bury(Worker& worker) {
    drain(worker);
    if (!worker.is_broken) salvage(worker);
    const Phase phase = worker.child->phase();
    const bool has_arrived = phase != Phase::launched && phase != Phase::wrong_build;
    const bool is_ready = worker.is_initialised || (!settings_.initializer && has_arrived);
    if (is_ready) {
        failed_starts_ = 0;
        fail_running(worker);
    }
    requeue(worker);
    if (!is_ready && !worker.is_stopping) note_failed_start(worker);
}

// The item that a dead worker was running has that death as its result.
void PoolEngine::fail_running(Worker& worker) {
    if (worker.in_flight.empty() || worker.in_flight.front().batch.call->is_internal) return;
    Dispatch& running = worker.in_flight.front();
    // What a worker that sent nonsense says about its progress is nothing to go by: none of the chunk is run again.
    if (!worker.is_broken && !worker.child->tasks().is_claimed(running.position)) return;
    const std::uint32_t failed = worker.is_broken ? running.batch.count - running.received : 1;
    CallState& call = *running.batch.call;
    for (std::uint32_t i = 0; i < failed; ++i, ++running.received) {
        call.add_error(
            running.batch.first + running.received,
            std::make_exception_ptr(WorkerDied(worker.child->status(), worker.child->pid(), call.task->name)));
    }
    outstanding_ -= std::min<std::uint64_t>(failed, outstanding_);
    if (call.is_done()) notify_done();
}

// Puts what has no result back to the front of the queue, in its old order.
void PoolEngine::requeue(Worker& worker) {
    for (; !worker.in_flight.empty(); worker.in_flight.pop_back()) {
        const Dispatch& dispatch = worker.in_flight.back();
        Batch batch = dispatch.batch;
        if (batch.call->is_internal) continue;
        for (std::uint32_t i = 0; i < dispatch.received; ++i) batch.offset = batch.block->next(batch.offset);
        batch.first += dispatch.received;
        batch.count -= dispatch.received;
        if (batch.count == 0) continue;
        if (state_ != State::running && state_ != State::closing) {  // nobody will come for it
            batch.call->fail(std::make_exception_ptr(BrokenPool(broken_text_)));
            notify_done();
            continue;
        }
        if (batch.block->is_spilled()) ++batch.call->waiting_segments;
        batch.call->waiting += batch.count;
        pending_.push_front(std::move(batch));
    }
}

void PoolEngine::note_failed_start(const Worker& worker) {
    ++failed_starts_;
    if (failed_starts_ < failed_starts_limit && worker.child->phase() != Phase::wrong_build) return;
    break_pool("its workers end before they are ready; the last one " + to_string(worker.child->status()) +
               (worker.child->phase() == Phase::running
                    ? " while it ran the initializer"
                    : "; main() must call multiproc::freeze_support() as its first line, and standard error of the "
                      "workers says more"));
}

// Items that a dead worker had finished but not sent.
void PoolEngine::salvage(Worker& worker) {
    if (worker.in_flight.empty()) return;
    const Dispatch& running = worker.in_flight.front();
    if (!worker.child->tasks().is_claimed(running.position)) return;
    const ResultMessage message = read_unfinished_record(*worker.child);
    if (message.count == 0 || message.id != running.id || message.first != running.received ||
        message.count > running.batch.count - running.received)
        return;
    running.batch.call->add_results(running.batch.first + running.received, message);
    finish_items(worker, message.count);
}

// Starts workers in the place of those that ended. The mutex is not held while one starts.
void PoolEngine::replace_missing(std::unique_lock<std::mutex>& lock) {
    for (;;) {
        if (has_exits_.load(std::memory_order_acquire)) handle_exits();
        const bool wanted = state_ == State::running || (state_ == State::closing && !all_done());
        const std::size_t leaving = static_cast<std::size_t>(
            std::ranges::count_if(workers_, [](const auto& worker) { return worker->is_stopping; }));
        if (!wanted || service_stop_ || workers_.size() - leaving >= settings_.workers) return;
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
        const std::uint64_t serial = worker->serial;
        if (state_ != State::running && state_ != State::closing) worker->child->signal(os::Signal::kill);
        install(std::move(worker));
        if (std::erase(early_exits_, serial) != 0) {
            const std::lock_guard exits(exits_mutex_);
            exited_.push_back(serial);
            has_exits_.store(true, std::memory_order_release);
        }
        feed();
    }
}

void PoolEngine::break_pool(const std::string& why) {
    if (state_ != State::running && state_ != State::closing) return;
    state_ = State::broken;
    broken_text_ = "multiproc: the pool is broken: " + why;
    fail_everything(std::make_exception_ptr(BrokenPool(broken_text_)));
    for (const auto& worker : workers_) worker->child->signal(os::Signal::kill);
}

// Tells a worker to leave when it has done what it has. If its ring is full now, the next pump goes on with that.
void PoolEngine::retire(Worker& worker) {
    worker.is_stopping = true;
    if (settings_.finalizer && !worker.is_finalizing) {
        Batch batch{internal_call(settings_.finalizer),
                    std::make_shared<const ItemBlock>(block_of(settings_.finalizer)), 0, 1, 0};
        batch.offset = batch.block->prefix;
        worker.is_finalizing = dispatch(worker, batch);
        if (!worker.is_finalizing) return;
    }
    if (!worker.is_told_to_stop) worker.is_told_to_stop = worker.child->send_stop();
}

// In a closed pool: workers leave when there is nothing left that could need them.
void PoolEngine::retire_idle() {
    if (!all_done()) return;
    for (const auto& worker : workers_)
        if (!worker->is_broken) retire(*worker);
}

}  // namespace multiproc::detail
