#include "pool_engine.hpp"

#include <stdexcept>
#include <system_error>

#include <multiproc/errors.hpp>

#include "reentry.hpp"
#include "runtime.hpp"

namespace multiproc::detail {
namespace {

// After `terminate` a worker has this long to end by SIGTERM, e.g. for its own handler, before it is killed.
constexpr auto terminate_grace = std::chrono::seconds(1);

}  // namespace

PoolEngine::PoolEngine(PoolSettings settings) : settings_(std::move(settings)), owner_(os::current_pid()) {}

PoolEngine::~PoolEngine() {
    if (!is_ours()) return;
    for (const std::uint32_t slot : {waiter_slot_, service_slot_})
        if (slot != no_slot) Runtime::get().release_slot(slot);
}

bool PoolEngine::is_ours() const noexcept { return owner_ == os::current_pid(); }

void PoolEngine::require_ours() const {
    if (!is_ours())
        throw ClosedError("multiproc: this Pool belongs to the process that made it, and this is another one");
}

void PoolEngine::require_open() const {
    switch (state_) {
        case State::idle:
        case State::running: return;
        case State::closing: throw ClosedError("multiproc: the pool is closed and takes no more tasks");
        case State::terminated: throw ClosedError("multiproc: the pool was terminated");
        case State::broken: throw BrokenPool(broken_text_);
    }
}

void PoolEngine::start() {
    require_ours();
    std::unique_lock lock(mutex_);
    require_open();
    start_locked(lock);
}

// Starts all workers, or none. The mutex is not held meanwhile; other threads wait for the outcome.
void PoolEngine::start_locked(std::unique_lock<std::mutex>& lock) {
    while (state_ == State::idle && is_starting_) changed_.wait(lock);
    require_open();
    if (state_ != State::idle) return;
    require_reentry();
    is_starting_ = true;
    lock.unlock();

    std::vector<std::unique_ptr<Worker>> started;
    std::exception_ptr failure;
    try {
        make_doorbell();
        // Refused now rather than with workers at hand.
        if (settings_.initializer) refer(settings_.initializer.target);
        if (settings_.finalizer) refer(settings_.finalizer.target);
        while (started.size() < settings_.workers) started.push_back(start_worker());
        service_ = std::thread([this] { serve(); });
    } catch (const std::system_error& error) {
        failure = std::make_exception_ptr(StartError(std::string("multiproc: the pool cannot start (") + error.what() +
                                                     "); a limit on memory, threads or open files may be reached"));
    } catch (...) { failure = std::current_exception(); }
    if (failure) {
        for (const auto& worker : started) worker->child->signal(os::Signal::kill);
        await_exits();
        const std::lock_guard exits(exits_mutex_);
        exited_.clear();
        has_exits_ = false;
    }

    lock.lock();
    is_starting_ = false;
    if (!failure) {
        for (auto& worker : started) install(std::move(worker));
        if (state_ == State::idle) state_ = State::running;
    }
    changed_.notify_all();
    if (failure) std::rethrow_exception(failure);
    require_open();
}

void PoolEngine::make_doorbell() {
    if (doorbell_segment_) return;
    Runtime& runtime = Runtime::get();
    if (waiter_slot_ == no_slot) waiter_slot_ = runtime.claim_slot(runtime.self());
    if (service_slot_ == no_slot) service_slot_ = runtime.claim_slot(runtime.self());
    doorbell_segment_ = os::Segment::create(sizeof(DoorbellPage));
    doorbell_ = Doorbell(reinterpret_cast<DoorbellPage*>(doorbell_segment_.data()), &runtime.lot(), waiter_slot_,
                         service_slot_);
}

std::shared_ptr<CallState> PoolEngine::begin(const TaskTarget& target, std::size_t chunk_size) {
    require_ours();
    std::shared_ptr<const TaskRef> task = refer(target);
    auto call = std::make_shared<CallState>();
    std::unique_lock lock(mutex_);
    require_open();
    start_locked(lock);
    call->stats = &stats_[task.get()];
    call->task = std::move(task);
    call->chunk_size = chunk_size;
    ++open_inputs_;
    return call;
}

void PoolEngine::submit(const std::shared_ptr<CallState>& call, ItemBlock block, std::uint32_t count) {
    const std::lock_guard lock(mutex_);
    if (state_ == State::terminated || state_ == State::broken) require_open();
    const std::uint64_t first = call->items;
    call->items += count;
    call->waiting += count;
    outstanding_ += count;
    if (block.is_spilled()) ++call->waiting_segments;
    const std::size_t prefix = block.prefix;
    pending_.push_back({call, std::make_shared<const ItemBlock>(std::move(block)), first, count, prefix});
    // Now and then the submitting thread takes results on the way; that is cheaper than waking another for it.
    if (pending_.size() % 64 == 0) {
        pump();
    } else {
        feed();
    }
    if (!waiter_present_) brief_service();
}

void PoolEngine::complete_input(CallState& call) {
    const std::lock_guard lock(mutex_);
    --open_inputs_;
    call.complete_input();
    if (call.is_done()) notify_done();
    if (state_ == State::closing) doorbell_.wake_service();
}

void PoolEngine::withdraw(CallState& call) {
    const std::lock_guard lock(mutex_);
    --open_inputs_;
    call.fail(std::make_exception_ptr(CancelledError("multiproc: the call was withdrawn")));
    const std::size_t before = pending_.size();
    std::erase_if(pending_, [&](const Batch& batch) {
        if (batch.call.get() != &call) return false;
        outstanding_ -= batch.count;
        return true;
    });
    if (before != pending_.size()) notify_done();
    if (state_ == State::closing) doorbell_.wake_service();
}

void PoolEngine::fail_everything(const std::exception_ptr& error) {
    for (Batch& batch : pending_) batch.call->fail(error);
    pending_.clear();
    for (const auto& worker : workers_)
        for (Dispatch& dispatch : worker->in_flight) dispatch.batch.call->fail(error);
    outstanding_ = 0;
    notify_done();
}

void PoolEngine::close() {
    if (!is_ours()) require_ours();
    std::unique_lock lock(mutex_);
    while (is_starting_) changed_.wait(lock);
    if (state_ != State::idle && state_ != State::running) return;
    const bool was_running = state_ == State::running;
    state_ = State::closing;
    if (was_running) doorbell_.wake_service();
}

void PoolEngine::terminate() {
    require_ours();
    std::unique_lock lock(mutex_);
    while (is_starting_) changed_.wait(lock);
    if (state_ != State::terminated) {
        if (state_ != State::broken) state_ = State::terminated;
        fail_everything(
            std::make_exception_ptr(ClosedError("multiproc: the pool was terminated before the task had a result")));
    }
    end_workers(lock);
    stop_service(lock);
    state_ = State::terminated;
    lock.unlock();
    await_exits();  // the service thread may have been starting one more
}

void PoolEngine::await_exits() {
    std::unique_lock exits(exits_mutex_);
    exits_changed_.wait(exits, [this] { return living_ == 0; });
}

void PoolEngine::end_workers(std::unique_lock<std::mutex>& lock) {
    for (const auto& worker : workers_) worker->child->signal(os::Signal::terminate);
    lock.unlock();
    {
        std::unique_lock exits(exits_mutex_);
        if (!exits_changed_.wait_for(exits, terminate_grace, [this] { return living_ == 0; })) {
            exits.unlock();
            lock.lock();
            for (const auto& worker : workers_) worker->child->signal(os::Signal::kill);
            lock.unlock();
            exits.lock();
            exits_changed_.wait(exits, [this] { return living_ == 0; });
        }
    }
    lock.lock();
}

// Joins the service thread, whichever thread comes first.
void PoolEngine::stop_service(std::unique_lock<std::mutex>& lock) {
    service_stop_ = true;
    std::thread service = std::move(service_);
    if (!service.joinable()) return;
    doorbell_.wake_service();
    lock.unlock();
    service.join();
    lock.lock();
    workers_.clear();
    changed_.notify_all();
}

void PoolEngine::join() {
    require_ours();
    std::unique_lock lock(mutex_);
    if (state_ == State::idle || state_ == State::running)
        throw std::logic_error("multiproc: call close() or terminate() before join()");
    if (state_ == State::broken) {
        end_workers(lock);
    } else {
        changed_.wait(lock, [this] { return workers_.empty() && (all_done() || state_ != State::closing); });
    }
    stop_service(lock);
}

std::vector<std::uint32_t> PoolEngine::worker_pids() {
    require_ours();
    const std::lock_guard lock(mutex_);
    std::vector<std::uint32_t> pids;
    for (const auto& worker : workers_)
        if (!worker->child->has_exited()) pids.push_back(worker->child->pid());
    return pids;
}

}  // namespace multiproc::detail
