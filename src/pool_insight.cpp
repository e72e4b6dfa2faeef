// What the pool tells about itself.
#include <algorithm>

#include "pool_engine.hpp"

namespace multiproc::detail {
namespace {

std::chrono::nanoseconds nanoseconds_of(double count) noexcept {
    return std::chrono::nanoseconds(static_cast<std::int64_t>(count));
}

}  // namespace

// A message of results has arrived: learns how long such tasks take, and counts.
void PoolEngine::note_finished(Worker& worker, const Dispatch& dispatch, const ResultMessage& message) {
    const ItemBlock& block = *dispatch.batch.block;
    if (block.stats == nullptr) return;  // an initializer or finalizer
    WorkerStats& tally = worker.tally;
    tally.tasks += message.count;
    tally.failures += message.is_error ? 1 : 0;
    tally.bytes_received += message.size;
    if (dispatch.received + message.count != dispatch.batch.count) return;
    if (message.begun == 0) {  // it was not timed
        tally.running += nanoseconds_of(dispatch.expected);
        tally.encoding += nanoseconds_of(block.stats->encoding_per_item * dispatch.batch.count);
        return;
    }
    // A quick task may begin and end in the same tick of a coarse clock; zero would mean that nothing is known.
    const auto running = static_cast<double>(std::max<std::uint64_t>(message.nanoseconds, 1));
    const auto encoding = static_cast<double>(message.nanoseconds - message.in_calls);
    block.stats->learn(running / dispatch.batch.count, encoding / dispatch.batch.count);
    tally.running += nanoseconds_of(running);
    tally.encoding += nanoseconds_of(encoding);
    if (trace_) trace_->add_task(worker.serial, *block.task, message.begun, message.nanoseconds, message.is_error);
}

// The worker has died with the dispatch.
void PoolEngine::note_failed(Worker& worker, const Dispatch& dispatch, std::uint32_t count) {
    worker.tally.tasks += count;
    worker.tally.failures += count;
    if (!trace_) return;
    const Child::Running running = worker.child->running();
    const os::Clock::time_point now = os::Clock::now();
    // It may have died between taking the task and saying so.
    const os::Clock::time_point begun = running.id == dispatch.id ? running.since : now;
    using std::chrono::duration_cast, std::chrono::nanoseconds;
    trace_->add_task(
        worker.serial, *dispatch.batch.block->task,
        static_cast<std::uint64_t>(duration_cast<nanoseconds>(begun.time_since_epoch()).count()),
        static_cast<std::uint64_t>(std::max(duration_cast<nanoseconds>(now - begun), nanoseconds(0)).count()), true);
}

void PoolEngine::note_gone(const Worker& worker) {
    past_.tasks += worker.tally.tasks;
    past_.failures += worker.tally.failures;
    past_.messages += worker.tally.messages;
    past_.bytes_sent += worker.tally.bytes_sent;
    past_.bytes_received += worker.tally.bytes_received;
    past_.running += worker.tally.running;
    past_.encoding += worker.tally.encoding;
}

PoolStats PoolEngine::stats() {
    require_ours();
    const std::lock_guard lock(mutex_);
    pump();
    PoolStats sums = past_;
    sums.waiting_tasks = outstanding_;
    for (const auto& worker : workers_) {
        WorkerStats tally = worker->tally;
        tally.waiting = std::max(std::chrono::nanoseconds(0), os::Clock::now() - worker->started - tally.running);
        sums.tasks += tally.tasks;
        sums.failures += tally.failures;
        sums.messages += tally.messages;
        sums.bytes_sent += tally.bytes_sent;
        sums.bytes_received += tally.bytes_received;
        sums.running += tally.running;
        sums.encoding += tally.encoding;
        sums.workers.push_back(std::move(tally));
    }
    brief_service();
    return sums;
}

}  // namespace multiproc::detail
