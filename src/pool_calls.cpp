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
    const std::lock_guard lock(mutex_);
    if (!continuation.executor) continuation.executor = call.options().executor;
    if (call.is_done()) {
        post(std::move(continuation));
    } else {
        callbacks();  // made now, where its failure can be told
        call.need_details().continuations.push_back(std::move(continuation));
    }
}

void PoolEngine::call_done(CallState& call) {
    tell_changed();
    if (call.details() == nullptr) return;
    if (call.options().timeout.count() != 0 && watched_ != 0) --watched_;
    report_progress(call);
    for (Continuation& continuation : call.details()->continuations) post(std::move(continuation));
    call.details()->continuations.clear();
}

void PoolEngine::call_progressed(CallState& call) {
    if (call.is_done()) return call_done(call);
    report_progress(call);
}

// At most one report is on its way at a time, so a slow receiver is not flooded, and the last one is always sent.
void PoolEngine::report_progress(CallState& call) {
    CallDetails& details = *call.details();
    if (!details.options.on_progress || details.is_reporting) return;
    details.is_reporting = true;
    call.retain();
    post({[this, ref = CallRef(&call)] {
              Progress progress;
              {
                  const std::lock_guard lock(mutex_);
                  CallDetails& now = *ref->details();
                  now.is_reporting = false;
                  progress = progress_of(now);
              }
              ref->details()->options.on_progress(progress);
          },
          details.options.executor});
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
    if (!waiter_present_) brief_service();
    return true;
}

// What the worker has not begun comes back, and is dropped when its turn comes. A worker that runs the call is ended;
// one that runs another task of the same message is looked at again later.
void PoolEngine::drop_call(Worker& worker, const CallState& call) {
    const auto has_it = [&](const Dispatch& dispatch) {
        return involves(*dispatch.batch.block, dispatch.batch, dispatch.received, call);
    };
    while (std::ranges::any_of(worker.in_flight, has_it) && take_back_last(worker)) {}
    if (worker.in_flight.empty() || !has_it(worker.in_flight.front())) return;
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
