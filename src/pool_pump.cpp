// Tasks out, results in.
#include <algorithm>
#include <cmath>
#include <system_error>

#include <multiproc/errors.hpp>

#include "error_text.hpp"
#include "pool_engine.hpp"

namespace multiproc::detail {
namespace {

// A chunk of a map is as many items as take about this long: long against the cost of handing a chunk over (under a
// microsecond), short against what a person or a slow neighbour notices.
constexpr double chunk_nanoseconds = 500'000;
// So much work is handed to a worker ahead of need, so that it does not run dry while the parent sleeps.
constexpr double ahead_nanoseconds = 1'000'000;
// How many dispatches a worker has at most while nobody knows how long they take: one running and one to follow.
constexpr std::size_t ahead_unknown = 2;
constexpr std::size_t ahead_limit = 4096;

}  // namespace

// What goes wrong here (no memory left) must not strike the thread that happens to come by, but the whole pool.
void PoolEngine::pump() noexcept {
    try {
        move_tasks_and_results();
    } catch (const std::exception& error) { break_pool(std::string("this process has run into ") + error.what()); }
}

void PoolEngine::move_tasks_and_results() {
    if (has_exits_.load(std::memory_order_acquire)) handle_exits();
    for (const auto& worker : workers_) drain(*worker);
    feed();
    if (state_ == State::closing) retire_idle();
    for (const auto& worker : workers_)
        if (worker->is_stopping && !worker->is_told_to_stop) retire(*worker);  // its ring was full before
}

bool PoolEngine::has_news() {
    if (has_exits_.load(std::memory_order_acquire)) return true;
    return std::ranges::any_of(
        workers_, [](const auto& worker) { return !worker->is_broken && !worker->child->results().is_empty(); });
}

void PoolEngine::notify_done() {
    changed_.notify_all();
    if (waiter_asleep_) doorbell_.wake_waiter();
}

// Takes what a worker has sent.
void PoolEngine::drain(Worker& worker) {
    bool took = false;
    while (!worker.is_broken) {
        ResultRingParent& ring = worker.child->results();
        const std::optional<ResultRingParent::Record> record = ring.peek();
        if (!record && ring.is_sound() && worker.child->tasks().is_sound()) break;
        // A worker that sends nonsense is ended; its running task fails with how it died, as after any death.
        if (!record || !accept(worker, *record)) {
            worker.is_broken = true;
            worker.child->signal(os::Signal::kill);
            return;
        }
        ring.pop(*record);
        took = true;
    }
    if (took) worker.child->wake();  // it may wait for room in the ring
}

// Whether the record makes sense as the next result of what this worker was given.
bool PoolEngine::accept(Worker& worker, const ResultRingParent::Record& record) {
    try {
        ResultMessage message = read_result_record(record);
        if (worker.in_flight.empty()) return false;
        Dispatch& dispatch = worker.in_flight.front();
        if (message.id != dispatch.id || message.first != dispatch.received ||
            message.count > dispatch.batch.count - dispatch.received)
            return false;
        CallState& call = *dispatch.batch.call;
        const std::uint64_t index = dispatch.batch.first + dispatch.received;
        if (!take_over_segment(message, *worker.child, call, index)) {
            // The item has failed, and is accounted for.
        } else if (message.is_error) {
            call.add_error(index, message);
        } else {
            call.add_results(index, message);
        }
        if (dispatch.received + message.count == dispatch.batch.count && call.stats != nullptr)
            call.stats->learn(static_cast<double>(message.nanoseconds) / dispatch.batch.count);
        finish_items(worker, message.count);
        return true;
    } catch (const std::exception&) { return false; }
}

// False if this process has no room for the segment that the message is in (too many handles or mappings): then the
// item has failed with that error. Throws if it is the worker's fault.
bool PoolEngine::take_over_segment(ResultMessage& message, Child& child, CallState& call, std::uint64_t index) {
    try {
        attach_segment(message, child);
        return true;
    } catch (const std::system_error& error) {
        if (error.code() == std::errc::bad_message) throw;
        call.add_error(index, std::current_exception());
        return false;
    }
}

// `count` items of the worker's first dispatch have their result or error.
void PoolEngine::finish_items(Worker& worker, std::uint32_t count) {
    Dispatch& dispatch = worker.in_flight.front();
    CallState& call = *dispatch.batch.call;
    const bool internal = call.is_internal;
    dispatch.received += count;
    if (!internal) outstanding_ -= std::min<std::uint64_t>(count, outstanding_);
    const std::shared_ptr<CallState> kept = dispatch.batch.call;
    if (dispatch.received == dispatch.batch.count) {
        worker.ahead -= dispatch.expected;
        worker.in_flight.pop_front();
        if (worker.in_flight.empty()) worker.ahead = 0;  // no drift by rounding
    }
    if (internal) {
        if (worker.is_stopping && worker.is_initialised) return;  // its finalizer; an error there changes nothing
        worker.is_initialised = true;
        failed_starts_ = 0;
        if (kept->has_error()) break_pool("the initializer threw " + text_of(kept->error()));
    } else if (kept->is_done()) {
        notify_done();
    }
}

// Hands out what is waiting, and evens out what was handed out ahead.
void PoolEngine::feed() {
    while (!pending_.empty()) {
        Worker* worker = pick_worker();
        if (worker == nullptr) return;
        Batch& batch = pending_.front();
        if (batch.call->is_done()) {  // it failed or was withdrawn
            outstanding_ -= std::min<std::uint64_t>(batch.count, outstanding_);
            pending_.pop_front();
            continue;
        }
        if (!dispatch(*worker, batch)) return;
        if (batch.count == 0) pending_.pop_front();
    }
    rebalance();
}

// The worker that should get the next dispatch; nullptr if all have enough.
PoolEngine::Worker* PoolEngine::pick_worker() {
    Worker* best = nullptr;
    const std::size_t n = workers_.size();
    for (std::size_t i = 0; i < n; ++i) {
        Worker& worker = *workers_[i];
        if (worker.is_stopping || worker.is_broken || worker.child->has_exited()) continue;
        if (worker.in_flight.empty()) {
            // Idle. One that is still awake is as good as it gets.
            if (!worker.child->is_asleep()) return &worker;
            if (best == nullptr || !best->in_flight.empty()) best = &worker;
            continue;
        }
        if (best != nullptr && best->in_flight.empty()) continue;
        const bool known = worker.ahead > 0;
        const std::size_t limit = known ? ahead_limit : ahead_unknown;
        if (worker.in_flight.size() >= limit) continue;
        if (known && worker.ahead >= ahead_nanoseconds && worker.in_flight.size() >= ahead_unknown) continue;
        if (best == nullptr || worker.ahead < best->ahead ||
            (!known && worker.in_flight.size() < best->in_flight.size()))
            best = &worker;
    }
    return best;
}

// How many items of the batch go to a worker at once.
std::uint32_t PoolEngine::chunk_of(const Batch& batch) const {
    if (batch.call->is_internal) return batch.count;
    const CallState& call = *batch.call;
    double chunk = 1;
    if (call.chunk_size != 0) {
        chunk = static_cast<double>(call.chunk_size);
    } else if (call.stats->nanoseconds_per_item > 0) {
        chunk = chunk_nanoseconds / call.stats->nanoseconds_per_item;
        // Towards the end of a map the chunks shrink, so that all workers end together.
        if (call.is_complete) {
            const double share = static_cast<double>(call.waiting) / (2.0 * static_cast<double>(workers_.size()));
            chunk = std::min(chunk, std::ceil(share));
        }
    }
    return static_cast<std::uint32_t>(std::clamp(chunk, 1.0, static_cast<double>(batch.count)));
}

// Sends the next chunk of `batch`, and cuts it off. False if the worker's ring is full.
bool PoolEngine::dispatch(Worker& worker, Batch& batch) {
    CallState& call = *batch.call;
    const ItemBlock& block = *batch.block;
    // A message in a segment carries a handle, and cannot be taken back from the ring.
    if (block.is_spilled() && !worker.in_flight.empty()) return false;

    std::uint32_t count = chunk_of(batch);
    if (settings_.max_tasks_per_worker != 0 && !call.is_internal) {
        count = static_cast<std::uint32_t>(
            std::min<std::uint64_t>(count, settings_.max_tasks_per_worker - worker.assigned));
    }
    std::size_t end = batch.offset;
    std::uint32_t fitting = 0;
    while (fitting < count) {
        const std::size_t next = block.next(end);
        if (fitting != 0 && !block.is_spilled() && next - batch.offset > inline_limit) break;
        end = next;
        ++fitting;
    }
    count = fitting;
    CallMessage message;
    message.prefix = {block.data(), block.prefix};
    message.items = {block.data() + batch.offset, end - batch.offset};
    if (block.is_spilled()) message.lease = &block.lease;
    message.task = call.task.get();
    message.id = next_id_;
    message.count = count;
    std::optional<std::uint64_t> position;
    try {
        position = worker.child->send(message);
    } catch (const std::system_error&) {
        // It has ended, which will be known in a moment; or no more handles can be on their way to it for now.
    }
    if (!position) return false;

    Dispatch sent;
    sent.batch = {batch.call, batch.block, batch.first, count, batch.offset};
    sent.id = next_id_++;
    sent.position = *position;
    sent.expected = call.stats != nullptr ? call.stats->nanoseconds_per_item * count : 0;
    worker.ahead += sent.expected;
    if (!call.is_internal) worker.assigned += count;
    worker.in_flight.push_back(std::move(sent));
    call.waiting -= std::min<std::uint64_t>(count, call.waiting);
    batch.first += count;
    batch.count -= count;
    batch.offset = end;
    if (block.is_spilled() && batch.count == 0) --call.waiting_segments;
    if (settings_.max_tasks_per_worker != 0 && !call.is_internal && worker.assigned >= settings_.max_tasks_per_worker)
        retire(worker);
    return true;
}

// Takes the last dispatch out of the worker's ring again, to the front of the queue. False if there is none that it has
// not begun.
bool PoolEngine::take_back_last(Worker& worker) {
    if (worker.in_flight.size() < 2 || worker.is_stopping) return false;  // the first one is running, or about to
    Dispatch& last = worker.in_flight.back();
    if (last.batch.block->is_spilled() || last.batch.call->is_internal) return false;
    if (!worker.child->tasks().take_back(last.position)) return false;
    worker.ahead -= last.expected;
    worker.assigned -= last.batch.count;
    last.batch.call->waiting += last.batch.count;
    pending_.push_front(std::move(last.batch));
    worker.in_flight.pop_back();
    return true;
}

// When nothing is waiting and a worker is idle, half of what the busiest worker has not begun moves over: a slow task
// must not hold up those that were queued behind it.
void PoolEngine::rebalance() {
    for (const auto& idle : workers_) {
        if (!idle->in_flight.empty() || idle->is_stopping || idle->is_broken || idle->child->has_exited()) continue;
        const auto busiest = std::ranges::max_element(
            workers_, {}, [](const auto& worker) { return worker->is_broken ? 0 : worker->in_flight.size(); });
        const std::size_t movable = (*busiest)->in_flight.size();
        if (movable < 2) return;
        for (std::size_t moved = 0; moved < movable / 2; ++moved)
            if (!take_back_last(**busiest)) break;
        if (pending_.empty()) return;
        while (!pending_.empty()) {
            if (!dispatch(*idle, pending_.front())) break;
            if (pending_.front().count == 0) pending_.pop_front();
        }
    }
}

}  // namespace multiproc::detail
