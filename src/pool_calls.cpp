// What can be done with a call that runs: be told of its end, cancel it, end it when its time is over.
#include <algorithm>

#include <multiproc/errors.hpp>

#include "pool_engine.hpp"

namespace multiproc::detail {
namespace {

bool involves(const ItemBlock& block, const Batch& batch, std::uint32_t received, const CallState& call) noexcept {
    if (block.call) return block.call.get() == &call;
    for (std::uint32_t i = received; i < batch.count; ++i)
        if (block.singles[static_cast<std::size_t>(batch.first + i)] == &call) return true;
    return false;
}

}  // namespace

CallbackThread& PoolEngine::callbacks() {
    if (!callbacks_) callbacks_ = std::make_unique<CallbackThread>();
    return *callbacks_;
}

void PoolEngine::post(Continuation continuation) {
    if (!continuation.executor) return callbacks().post(std::move(continuation.run));
    callbacks().post(
        [executor = std::move(continuation.executor), run = std::move(continuation.run)] { executor(run); });
}

void PoolEngine::then(CallState& call, Continuation continuation) {
    require_ours();
    const std::lock_guard lock(mutex_);
    if (!continuation.executor) continuation.executor = call.options().executor;
    if (call.is_done()) {
        post(std::move(continuation));
        return;
    }
    callbacks();  // made now, where its failure can be told
    call.need_details().continuations.push_back(std::move(continuation));
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
    call.need_details().listeners.push_back(std::move(listener));
    ++interest_;
    brief_service();
}

void PoolEngine::ignore(CallState& call, const CompletionQueue& queue) noexcept {
    if (!is_ours()) return;
    const std::lock_guard lock(mutex_);
    if (call.details() == nullptr) return;
    interest_ -= std::erase_if(call.details()->listeners,
                               [&](const Listener& listener) { return listener.queue.get() == &queue; });
}

// Also for calls that were cancelled or failed before, at each result that comes for them nevertheless.
void PoolEngine::call_done(CallState& call) {
    tell_changed();
    CallDetails* const details = call.details();
    if (details == nullptr || std::exchange(details->is_announced, true)) return;
    if (details->options.timeout.count() != 0 && watched_ != 0) --watched_;
    if (details->options.on_progress) {
        --interest_;
        report_progress(call);
    }
    interest_ -= details->continuations.size() + details->listeners.size();
    for (Continuation& continuation : details->continuations) post(std::move(continuation));
    for (const Listener& listener : details->listeners) listener.queue->push(listener.index);
    details->continuations.clear();
    details->listeners.clear();
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
    details.is_reporting = true;
    call.retain();
    post({[this, ref = CallRef(&call)] {
              CallDetails& now = *ref->details();
              Progress progress;
              {
                  const std::lock_guard lock(mutex_);
                  progress = progress_of(now);
              }
              std::exception_ptr thrown;
              try {
                  now.options.on_progress(progress);
              } catch (...) { thrown = std::current_exception(); }
              {
                  const std::lock_guard lock(mutex_);
                  now.is_reporting = false;
                  const Progress later = progress_of(now);
                  if (later.done != progress.done || later.total != progress.total) report_progress(*ref);
                  if (!now.is_reporting) tell_changed();
              }
              if (thrown) std::rethrow_exception(thrown);
          },
          details.options.executor});
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
    return !worker.in_flight.empty() && has_it(worker.in_flight.front());
}

// What comes back is dropped when its turn comes. A worker that runs the call is ended; one that runs another task of
// the same message is looked at again later.
void PoolEngine::drop_call(Worker& worker, const CallState& call) {
    if (!take_back_call(worker, call)) return;
    const Dispatch& running = worker.in_flight.front();
    if (running.batch.count == 1 || running.batch.block->call || runs_cancelled_task(worker)) {
        worker.child->signal(os::Signal::kill);
    } else {
        watch_imbalance();
    }
}

// Whether the single task that the worker is at was cancelled.
bool PoolEngine::runs_cancelled_task(Worker& worker) {
    const Dispatch& running = worker.in_flight.front();
    if (running.batch.block->call) return running.batch.block->call->is_done();
    const ResultMessage done = read_unfinished_record(*worker.child);
    std::uint32_t item = running.received;
    if (done.id == running.id && done.first == running.received) item += done.count;
    return item < running.batch.count && running.batch.block->call_of(running.batch.first + item).is_done();
}

// Ends tasks that take longer than they may; when to look again.
os::Deadline PoolEngine::check_timeouts() {
    if (watched_ == 0) return os::never;
    const os::Clock::time_point now = os::Clock::now();
    os::Deadline next = os::never;
    for (const auto& worker : workers_) {
        if (worker->in_flight.empty() || worker->verdict) continue;
        const Dispatch& front = worker->in_flight.front();
        const CallState& call = front.batch.block->call_of(front.batch.first);
        const std::chrono::nanoseconds timeout = call.options().timeout;
        if (timeout.count() == 0) continue;
        const Child::Running running = worker->child->running();
        // Until it has begun, its time cannot be over before a whole timeout from now.
        const os::Deadline end = (running.id == front.id ? running.since : now) + timeout;
        if (end > now) {
            next = std::min(next, end);
            continue;
        }
        worker->verdict = maker_of(TimeoutError("multiproc: " + call.task().name + " took longer than its timeout"));
        worker->child->signal(os::Signal::kill);
    }
    return next;
}

}  // namespace multiproc::detail
