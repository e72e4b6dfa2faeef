// What can be done with a call that runs: be told of its end, cancel it, end it when its time is over.
#include <algorithm>
#include <cstdio>
#include <new>

#include <multiproc/errors.hpp>

#include "deadline.hpp"
#include "pool_engine.hpp"

namespace multiproc::detail {
namespace {

// How often, at most, one looks whether a task with a short timeout has begun.
constexpr std::chrono::nanoseconds shortest_look = std::chrono::milliseconds(1);

bool involves(const ItemBlock& block, const Batch& batch, std::uint32_t received, const CallState& call) noexcept {
    if (block.call) return block.call.get() == &call;
    for (std::uint32_t i = received; i < batch.count; ++i)
        if (block.singles[static_cast<std::size_t>(batch.first + i)] == &call) return true;
    return false;
}

// What a user wants to be told about a call.
struct Callback final : CallbackThread::Job {
    Callback(CallRef about, Continuation what) : call(std::move(about)), continuation(std::move(what)) {}
    void run() override {
        const Executor& executor = continuation.executor ? continuation.executor : call->options().executor;
        if (!executor) return continuation.run();
        try {
            executor(std::move(continuation.run));
        } catch (...) {
            if (!continuation.refused) throw;
            continuation.refused(std::current_exception());
        }
    }
    CallRef call;
    Continuation continuation;
};

}  // namespace

CallbackThread& PoolEngine::callbacks() {
    if (!callbacks_) callbacks_ = std::make_unique<CallbackThread>();
    return *callbacks_;
}

void PoolEngine::then(CallState& call, Continuation continuation) {
    require_ours();
    call.retain();
    // Declared before the lock, so that what the user gave is destroyed without it.
    std::unique_ptr<CallbackThread::Job> job = std::make_unique<Callback>(CallRef(&call), std::move(continuation));
    const std::lock_guard lock(mutex_);
    CallbackThread& thread = callbacks();  // made now, where its failure can be told
    if (call.is_done()) return thread.post(std::move(job));
    CallDetails& details = call.need_details();
    details.continuations.push(std::move(job));
    ++details.interest;
    ++interest_;
    brief_service();
}

void PoolEngine::listen(CallState& call, Listener listener) {
    require_ours();
    const std::lock_guard lock(mutex_);
    if (call.is_done()) {
        listener.queue->push(listener.index);
        return;
    }
    CallDetails& details = call.need_details();
    details.listeners.push_back(std::move(listener));
    ++details.interest;
    ++interest_;
    brief_service();
}

void PoolEngine::ignore(CallState& call, const CompletionQueue& queue) noexcept {
    if (!is_ours()) return;
    const std::lock_guard lock(mutex_);
    CallDetails* const details = call.details();
    if (details == nullptr) return;
    const std::size_t gone =
        std::erase_if(details->listeners, [&](const Listener& listener) { return listener.queue.get() == &queue; });
    details->interest -= gone;
    interest_ -= gone;
}

// Also for calls that were cancelled or failed before, at each result that comes for them nevertheless.
void PoolEngine::call_done(CallState& call) {
    tell_changed();
    CallDetails* const details = call.details();
    if (details == nullptr || std::exchange(details->is_announced, true)) return;
    if (details->options.timeout.count() != 0 && watched_ != 0) --watched_;
    interest_ -= std::exchange(details->interest, 0);
    while (!details->continuations.is_empty()) callbacks_->post(details->continuations.pop());
    for (const Listener& listener : details->listeners) listener.queue->push(listener.index);
    details->listeners.clear();
    if (details->options.on_progress) report_progress(call);  // last, as it may throw
}

void PoolEngine::call_progressed(CallState& call) {
    if (call.is_done()) return call_done(call);
    if (call.details()->is_stream) tell_changed();
    report_progress(call);
}

// At most one report is on its way at a time, so a slow receiver is not flooded and an executor with many threads
// keeps their order. What happens meanwhile is reported behind it, so the last report is of the end.
void PoolEngine::report_progress(CallState& call) {
    CallDetails& details = *call.details();
    if (!details.options.on_progress || details.is_reporting) return;
    call.retain();
    auto job = std::make_unique<Callback>(CallRef(&call), Continuation{});
    call.retain();
    job->continuation.run = [this, ref = CallRef(&call)] { report(*ref); };
    details.is_reporting = true;
    callbacks_->post(std::move(job));
}

void PoolEngine::report(CallState& call) {
    CallDetails& details = *call.details();
    Progress progress;
    {
        const std::lock_guard lock(mutex_);
        progress = progress_of(details);
    }
    std::exception_ptr thrown;
    try {
        details.options.on_progress(progress);
    } catch (...) { thrown = std::current_exception(); }
    {
        const std::lock_guard lock(mutex_);
        details.is_reporting = false;
        const Progress later = progress_of(details);
        try {
            if (later.done != progress.done || later.total != progress.total) report_progress(call);
        } catch (const std::bad_alloc&) { thrown = std::current_exception(); }
        if (!details.is_reporting) tell_changed();
    }
    if (thrown) std::rethrow_exception(thrown);
}

void PoolEngine::await_reports(CallState& call) noexcept {
    if (call.details() == nullptr || !call.options().on_progress || call.options().executor || !is_ours()) return;
    std::unique_lock lock(mutex_);
    if (callbacks_->is_current()) return;
    while (call.details()->is_reporting) sleep_until_changed(lock);
}

Progress PoolEngine::progress_of(const CallDetails& details) {
    Progress progress;
    progress.done = details.finished;
    progress.total = std::max(details.items, details.finished);
    progress.elapsed = os::Clock::now() - details.begun;
    if (progress.done != 0) {
        progress.remaining = std::chrono::nanoseconds(static_cast<std::int64_t>(
            static_cast<double>(progress.elapsed.count()) / static_cast<double>(progress.done) *
            static_cast<double>(progress.total - progress.done)));
    }
    return progress;
}

bool PoolEngine::cancel(CallState& call) {
    if (call.is_done() || !is_ours()) return false;
    const std::lock_guard lock(mutex_);
    pump();  // what a worker has finished is not run any more, though nobody has looked yet
    if (call.is_done()) return false;
    call.fail(maker_of(CancelledError("multiproc: the task was cancelled")));
    call_done(call);
    for (const auto& worker : workers_) drop_call(*worker, call);
    feed();
    brief_service();
    return true;
}

// What the worker has not begun of the call comes back, with what lies behind it. Whether the worker is at what is
// left of the call.
bool PoolEngine::take_back_call(Worker& worker, const CallState& call) {
    const auto has_it = [&](const Dispatch& dispatch) {
        return involves(*dispatch.batch.block, dispatch.batch, dispatch.received, call);
    };
    while (std::ranges::any_of(worker.in_flight, has_it) && take_back_last(worker)) {}
    if (worker.is_stopping && !worker.is_told_to_stop) retire(worker);
    return !worker.in_flight.empty() && has_it(worker.in_flight.front());
}

// What comes back is dropped when its turn comes. A worker that runs the call is ended; one that runs a message of
// several tasks, the call among them, is looked at again later.
void PoolEngine::drop_call(Worker& worker, const CallState& call) {
    while (take_back_call(worker, call)) {
        const Dispatch& running = worker.in_flight.front();
        if (running.batch.count != 1 && running.batch.block->is_shared()) return watch_imbalance();
        if (condemn(worker)) return;
    }
}

// Kills a worker for the sake of the task that it runs. False if it has finished that, which is then known.
bool PoolEngine::condemn(Worker& worker) {
    if (worker.is_condemned) return true;
    const std::uint64_t id = worker.in_flight.front().id;
    // It must not begin with another task before the signal reaches it: that one would die for nothing.
    if (worker.in_flight.size() > 1 && !worker.child->take_back(worker.in_flight[1].position)) drain(worker);
    if (worker.in_flight.empty() || worker.in_flight.front().id != id) return false;
    worker.is_condemned = true;
    worker.child->signal(os::Signal::kill);
    return true;
}

// Which item of its first message the worker is at.
std::uint32_t PoolEngine::item_at(Worker& worker) {
    const Dispatch& running = worker.in_flight.front();
    const ResultMessage done = read_unfinished_record(worker.child->results());
    const bool is_behind = done.id == running.id && done.first == running.received;
    // What the worker says of its count is not believed beyond what it was given.
    return running.received + (is_behind ? std::min(done.count, running.batch.count - running.received) : 0);
}

// Several single tasks may share a message, and a worker that runs a cancelled one of them is ended. Not before it has
// been at that task for two looks: by then it is unlikely to come to the next one while the signal is on its way.
// Whether there is reason to look again.
bool PoolEngine::end_cancelled_task(Worker& worker) {
    const Dispatch& running = worker.in_flight.front();
    if (running.batch.block->call || worker.is_condemned) return false;
    const std::uint32_t item = item_at(worker);
    const bool is_same = worker.is_slow && worker.seen_item == item;
    worker.seen_item = item;
    const auto is_cancelled = [&](std::uint32_t i) {
        return running.batch.block->call_of(running.batch.first + i).is_done();
    };
    if (item < running.batch.count && is_same && is_cancelled(item)) return !condemn(worker);
    for (std::uint32_t i = item; i < running.batch.count; ++i)
        if (is_cancelled(i)) return true;
    return false;
}

// Ends tasks that take longer than they may; when to look again.
std::string PoolEngine::overdue_text(const CallState& call, std::uint64_t item) {
    char limit[32];
    std::snprintf(limit, sizeof limit, "%g s", static_cast<double>(call.options().timeout.count()) / 1e9);
    const bool is_map = call.details() != nullptr && call.details()->is_map;
    return "multiproc: " + (is_map ? "item " + std::to_string(item) + " of " : "") + call.task().name +
           " took longer than its timeout of " + limit;
}

os::Deadline PoolEngine::check_timeouts() {
    if (watched_ == 0) return os::never;
    const os::Clock::time_point now = os::Clock::now();
    os::Deadline next = os::never;
    bool has_finished = false;
    for (const auto& worker : workers_) {
        if (worker->is_condemned || worker->is_broken) continue;
        const Child::Running running = worker->child->running();
        std::string overdue;
        for (const Dispatch& dispatch : worker->in_flight) {
            const std::uint64_t item = dispatch.batch.first + dispatch.received;
            const CallState& call = dispatch.batch.block->call_of(item);
            const std::chrono::nanoseconds timeout = call.options().timeout;
            if (timeout.count() == 0) continue;
            // Nobody tells when a task begins, but its time cannot be over before a whole timeout from now.
            const bool is_running = running.id == dispatch.id;
            const os::Deadline end = is_running ? deadline_from(running.since, timeout)
                                                : deadline_from(now, std::max(timeout, shortest_look));
            if (end <= now) overdue = overdue_text(call, item);
            if (end > now) next = std::min(next, end);
        }
        if (overdue.empty()) continue;
        drain(*worker);  // it may have finished in time, and nobody has looked
        const auto its = std::ranges::find(worker->in_flight, running.id, &Dispatch::id);
        if (its == worker->in_flight.begin() && !worker->in_flight.empty() && condemn(*worker)) {
            worker->verdict = maker_of(TimeoutError(overdue));
        } else if (its > worker->in_flight.begin() && its != worker->in_flight.end()) {
            // It says that it is at a later task than the one whose result it owes, which it would have sent first.
            give_up(*worker);
        } else {
            has_finished = true;
        }
    }
    if (!has_finished) return next;
    feed();
    return now;  // to look at what comes next
}

}  // namespace multiproc::detail
