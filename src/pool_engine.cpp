#include "pool_engine.hpp"
#include "insist.hpp"
#include "preload.hpp"

#include <stdexcept>
#include <system_error>

#include <multiproc/errors.hpp>

#include "error_text.hpp"
#include "interrupt.hpp"
#include "local_run.hpp"
#include "reentry.hpp"
#include "runtime.hpp"

namespace multiproc::detail {
namespace {

// After `terminate` a worker has this long to end by SIGTERM, e.g. for its own handler, before it is killed.
constexpr auto terminate_grace = std::chrono::seconds(1);

}  // namespace

PoolEngine::PoolEngine(PoolSettings settings) : settings_(std::move(settings)), owner_(os::current_pid()) {
    size_ = settings_.workers;
    if (!settings_.trace.empty()) trace_ = std::make_unique<PoolTrace>(settings_.trace);
}

PoolEngine::~PoolEngine() {
    if (!is_ours()) return;
    block_signal_->disconnect();
    for (const std::uint32_t slot : {waiter_slot_, service_slot_})
        if (slot != no_slot) Runtime::get().release_slot(slot);
}

// In a copy that the host forked on its own, the threads belong to the original, so the engine is left alone.
void PoolEngine::release() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1 && is_ours()) delete this;
}

void PoolEngine::recycle(CallState* call) noexcept {
    std::unique_ptr<CallDetails> details = calls_.recycle(call);
    // The pool's mutex may be held here.
    if (details && details->has_user_code() && is_ours()) callbacks_->post(std::move(details));
    release();
}

bool PoolEngine::sleep_until_changed(std::unique_lock<std::mutex>& lock, os::Deadline deadline) {
    ++sleepers_;
    bool in_time = true;
    if (deadline == os::never) {
        changed_.wait(lock);
    } else {
        in_time = changed_.wait_until(lock, deadline) == std::cv_status::no_timeout;
    }
    --sleepers_;
    return in_time;
}

void PoolEngine::tell_changed() noexcept {
    if (sleepers_ != 0) changed_.notify_all();
    if (waiter_asleep_) doorbell_.wake_waiter();
    has_changed_ = true;  // for a waiter that spins
}

// A pool that was not started yet has nothing that belongs to a process, so a copy of the process may use its copy: that
// is how a static pool comes into the children of a fork server.
void PoolEngine::require_ours() {
    if (is_ours()) return;
    if (state_ != State::idle || is_starting_)
        throw ClosedError("multiproc: this Pool belongs to the process that made it, and this is another one");
    owner_ = os::current_pid();
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
    while (state_ == State::idle && is_starting_elsewhere()) sleep_until_changed(lock);
    require_open();
    if (state_ != State::idle || is_starting_) return;
    if (is_local()) return start_local(lock);
    require_reentry();
    is_starting_ = true;
    lock.unlock();
    os::flush_streams();  // what was printed before comes before what the workers print

    std::vector<std::unique_ptr<Worker>> started;
    std::exception_ptr failure;
    try {
        make_doorbell();
        // Refused now rather than with workers at hand.
        make_internal_calls();
        const std::size_t first = is_on_demand() ? 1 : size_.load();
        started.reserve(first);  // so that none is lost
        while (started.size() < first) started.push_back(start_worker());
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
        if (state_ == State::idle) state_ = State::running;
        try {
            for (auto& worker : started) install(std::move(worker));
        } catch (const std::exception& error) {
            break_pool(std::string("this process has run into ") + error.what());
            for (const auto& worker : started)
                if (worker) worker->child->signal(os::Signal::kill);
        }
        doorbell_.wake_service();  // it may have looked already, at a pool that was idle and had no workers
    }
    tell_changed();
    if (failure) std::rethrow_exception(failure);
    require_open();
}

// Without workers: this process is initialised like one, while other threads wait with their tasks.
void PoolEngine::start_local(std::unique_lock<std::mutex>& lock) {
    make_internal_calls();
    std::string failure;
    if (set_up_) {
        const Batch batch = internal_batch(set_up_);
        is_starting_ = true;
        local_starter_ = std::this_thread::get_id();
        lock.unlock();
        try {
            const std::vector<LocalRun::Item> items = LocalRun().run(batch);
            if (items.front().is_error) failure = text_of(decoder_of(items.front().bytes)());
        } catch (...) { failure = current_exception_text(); }
        lock.lock();
        is_starting_ = false;
        local_starter_ = {};
    }
    if (state_ == State::idle) state_ = State::running;
    if (!failure.empty()) break_pool("the " + set_up_name() + " threw " + failure);
    tell_changed();
    require_open();
}

void PoolEngine::resize(std::size_t workers) {
    require_ours();
    const std::lock_guard lock(mutex_);
    require_open();
    if (is_local()) throw std::logic_error("multiproc: a pool without workers cannot be resized");
    size_ = workers;
    if (state_ != State::running) return;
    std::size_t staying = 0;
    for (const auto& worker : workers_)
        if (!worker->is_stopping) ++staying;
    // The idle leave first; the others when they have done what they have begun.
    for (const bool idle : {true, false}) {
        for (const auto& worker : workers_) {
            if (staying <= workers) break;
            if (worker->is_stopping || (idle && !worker->in_flight.empty())) continue;
            while (take_back_last(*worker)) {}
            retire(*worker);
            --staying;
        }
    }
    feed();
    doorbell_.wake_service();
}

// Throws BootstrapError for calls that other processes cannot find.
void PoolEngine::make_internal_calls() {
    if (settings_.preload) preload_ = encode_preload(settings_.preload);
    if (settings_.preload || settings_.is_sandboxed) {
        set_up_ = internal_call(set_up_call(preload_, settings_.initializer));
    } else {
        set_up_ = internal_call(settings_.initializer);
    }
    finalizer_ = internal_call(settings_.finalizer);
}

PoolEngine::InternalCall PoolEngine::internal_call(StoredCall call) {
    InternalCall internal;
    if (!call) return internal;
    refer(call.target);
    if (call.bytes.size() > inline_limit) internal.lease = SegmentSource::keep(call.bytes);
    internal.call = std::move(call);
    return internal;
}

std::string PoolEngine::set_up_name() const {
    std::string name;
    const auto add = [&](const char* part) { name += (name.empty() ? "" : " or the ") + std::string(part); };
    if (settings_.preload) add("preload function");
    if (settings_.initializer) add("initializer");
    if (settings_.is_sandboxed) add("sandbox");
    return name;
}

// A worker in a sandbox must not have what processes share.
void PoolEngine::require_plain(std::span<const Attachment> attachments) const {
    if (!settings_.is_sandboxed || attachments.empty()) return;
    throw CodecError(
        "multiproc: an argument of a task in a sandboxed pool refers to shared memory (a SharedArray, queue, lock, "
        "value or "
        "proxy), which its worker must not have; pass its contents, as a std::vector, or use a pool without .sandbox");
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

void PoolEngine::fail_everything(const ErrorMaker& error) {
    const auto fail = [&](const Batch& batch) {
        const std::uint32_t calls = batch.block->call ? std::min(batch.count, 1u) : batch.count;
        for (std::uint32_t i = 0; i < calls; ++i) {
            CallState& call = batch.block->call_of(batch.first + i);
            if (call.is_done()) continue;
            insist([&] { call.fail(error); });
            try {
                call_done(call);
            } catch (const std::bad_alloc&) {}  // a report of progress less
        }
    };
    for (const Batch& batch : pending_) fail(batch);
    pending_.clear();
    for (const auto& worker : workers_) {
        for (const Dispatch& dispatch : worker->in_flight) {
            Batch rest = dispatch.batch;
            rest.take(dispatch.received, 0);
            fail(rest);
        }
    }
    outstanding_ = 0;
    tell_changed();
}

void PoolEngine::close() {
    if (!is_ours()) require_ours();
    std::unique_lock lock(mutex_);
    while (is_starting_elsewhere()) sleep_until_changed(lock);
    if (state_ != State::idle && state_ != State::running) return;
    const bool was_running = state_ == State::running;
    state_ = State::closing;
    if (was_running) doorbell_.wake_service();
}

void PoolEngine::terminate() {
    require_ours();
    std::unique_lock lock(mutex_);
    while (is_starting_elsewhere()) sleep_until_changed(lock);
    if (state_ != State::terminated) {
        if (state_ != State::broken) state_ = State::terminated;
        fail_everything(maker_of(ClosedError("multiproc: the pool was terminated before the task had a result")));
    }
    end_workers(lock);
    stop_service(lock);
    state_ = State::terminated;
    lock.unlock();
    await_exits();  // the service thread may have been starting one more
    lock.lock();
    // There will be no more calls. The caller has a reference of its own, so this is not the last.
    references_.fetch_sub(std::exchange(prepaid_references_, 0), std::memory_order_acq_rel);
    drain_callbacks(lock);
}

// So that no callback runs behind the end of the pool. Those that run may end the pool, too.
void PoolEngine::drain_callbacks(std::unique_lock<std::mutex>& lock) {
    CallbackThread* const callbacks = callbacks_.get();
    lock.unlock();
    if (callbacks != nullptr) callbacks->drain();
}

void PoolEngine::await_exits() {
    std::unique_lock exits(exits_mutex_);
    exits_changed_.wait(exits, [this] { return living_ == 0; });
}

void PoolEngine::end_workers(std::unique_lock<std::mutex>& lock) {
    // Who has nothing to do leaves by itself, after flushing its streams; the others are told by a signal.
    for (const auto& worker : workers_) {
        const bool is_idle = worker->in_flight.empty() && !worker->is_broken;
        if (!is_idle || !worker->child->send_stop()) worker->child->signal(os::Signal::terminate);
    }
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
    if (trace_ && is_local()) write_trace();
    if (!service.joinable()) return;
    doorbell_.wake_service();
    lock.unlock();
    service.join();
    lock.lock();
    for (const auto& worker : workers_) note_gone(*worker);
    if (is_spinning_)
        for (auto& worker : workers_) graves_.push_back(std::move(worker));
    workers_.clear();
    if (trace_) write_trace();
    tell_changed();
}

// It may be the end of the program, so that the disk is full is told, and no more.
void PoolEngine::write_trace() noexcept {
    try {
        trace_->write();
    } catch (const std::exception& error) { os::print_error(std::string(error.what()) + "\n"); }
}

void PoolEngine::join() {
    require_ours();
    std::unique_lock lock(mutex_);
    if (state_ == State::idle || state_ == State::running)
        throw std::logic_error("multiproc: call close() or terminate() before join()");
    is_joining_ = true;
    if (!workers_.empty()) doorbell_.wake_service();  // it may have waited for the input of an imap
    while (state_ != State::broken && (!workers_.empty() || (!all_done() && state_ == State::closing))) {
        throw_if_interrupted();
        sleep_until_changed(lock, next_look(os::never));
    }
    if (state_ == State::broken) end_workers(lock);  // the service thread may have left
    stop_service(lock);
    drain_callbacks(lock);
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
