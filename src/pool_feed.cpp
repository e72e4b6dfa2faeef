// Tasks out: which worker gets what, and how much at once.
#include <algorithm>
#include <cmath>
#include <system_error>

#include "deadline.hpp"
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
// Waking a worker costs about this much, so work that is less stays with one that is awake...
constexpr double wake_nanoseconds = 20'000;
// ... and is not worth moving.
constexpr double movable_nanoseconds = 50'000;
// One in so many small messages says how long it took.
constexpr std::uint64_t timed_messages = 16;

// Of sending handles: what will not be otherwise the next time, nor with another worker. The program has closed them, or
// they are not this process's to hand on.
bool is_lasting(const std::error_code& error) noexcept {
    return error == std::errc::bad_file_descriptor || error == std::errc::operation_not_permitted;
}
// What a worker gives that has ended, but also one whose task has closed all descriptors: then it is of no more use.
bool is_unreachable(const std::error_code& error) noexcept {
    return error == std::errc::broken_pipe || error == std::errc::connection_reset || error == std::errc::not_connected;
}

}  // namespace

// Hands out what is waiting, and evens out what was handed out ahead. As for `pump`: what goes wrong here is not the fault
// of who has submitted a task, which is in the queue.
void PoolEngine::feed() noexcept {
    try {
        hand_out();
    } catch (const std::exception& error) { break_pool(std::string("this process has run into ") + error.what()); }
}

void PoolEngine::hand_out() {
    while (!pending_.empty()) {
        if (skip_finished(pending_.front())) {
            pending_.pop_front();
            continue;
        }
        Worker* worker = pick_worker();
        if (worker == nullptr) return ask_for_workers();
        if (!dispatch(*worker, pending_.front())) return;
        if (pending_.front().count == 0) pending_.pop_front();
    }
    if (may_be_idle_) rebalance();
}

// Tasks are waiting, and all workers have enough. If there could be more of them, the service thread starts them.
void PoolEngine::ask_for_workers() noexcept {
    if (!is_on_demand() || wants_workers_ || workers_.size() >= size_) return;
    wants_workers_ = true;
    doorbell_.wake_service();
}

// Drops items at the batch's begin whose call has failed or was cancelled. Whether nothing is left.
bool PoolEngine::skip_finished(Batch& batch) {
    while (batch.count != 0 && batch.block->call_of(batch.first).is_done()) {
        const std::uint32_t items = batch.block->call ? batch.count : 1;
        const std::size_t end = batch.block->call ? batch.offset : batch.block->next(batch.offset);
        if (!batch.block->call)
            std::exchange(batch.block->singles[static_cast<std::size_t>(batch.first)], nullptr)->release();
        batch.take(items, end);
        forget_items(items);
    }
    return batch.count == 0;
}

// The worker that should get the next dispatch; nullptr if all have enough.
PoolEngine::Worker* PoolEngine::pick_worker() {
    // Where every processor has something to do already, one more awake worker would only take turns with the others.
    std::size_t awake = 1;
    std::size_t idles = 0;
    Worker* idle = nullptr;    // without work, awake if possible
    Worker* little = nullptr;  // awake, with less work than waking another would cost
    Worker* least = nullptr;   // the one with the least work
    for (const auto& candidate : workers_) {
        Worker& worker = *candidate;
        if (!worker.is_usable()) continue;
        const bool is_asleep = worker.child->is_asleep();
        if (!is_asleep) ++awake;
        if (worker.in_flight.empty()) {
            ++idles;
            if (idle == nullptr || (!is_asleep && idle->child->is_asleep())) idle = &worker;
            continue;
        }
        const bool known = worker.ahead > 0;
        const std::size_t limit = known ? ahead_limit : ahead_unknown;
        if (worker.in_flight.size() >= limit) continue;
        if (known && worker.ahead >= ahead_nanoseconds && worker.in_flight.size() >= ahead_unknown) continue;
        if (known && !is_asleep && !worker.is_slow && worker.ahead < wake_nanoseconds && little == nullptr)
            little = &worker;
        if (least == nullptr || worker.ahead < least->ahead ||
            (!known && worker.in_flight.size() < least->in_flight.size()))
            least = &worker;
    }
    if (idle != nullptr && little != nullptr && (awake > processors_ || idle->child->is_asleep())) {
        may_be_idle_ = false;  // as far as small tasks are concerned
        watch_imbalance();
        return little;
    }
    may_be_idle_ = idles > 1;
    return idle != nullptr ? idle : least;
}

// How many items of the batch go to a worker at once.
std::uint32_t PoolEngine::chunk_of(const Batch& batch) const {
    const ItemBlock& block = *batch.block;
    const CallState& call = block.call_of(batch.first);
    if (call.is_internal() || call.options().timeout.count() != 0 || batch.attempts != 0 || trace_) return 1;
    double chunk = 1;
    const double each = block.stats->nanoseconds_per_item;
    if (block.call && call.options().chunk_size.value() != 0) {
        chunk = static_cast<double>(call.options().chunk_size.value());
    } else if (!block.call && block.result_size > CallState::small_result) {
        chunk = 1;  // the results of several could not be told apart
    } else if (each > 0) {
        chunk = chunk_nanoseconds / each;
        // Towards the end of a map the chunks shrink, so that all workers end together; an imap is always near the end
        // of what was read. Small ones stay together: who
        // shares them out waits longer for the others than it gains.
        if (block.call && (call.details()->is_complete || call.details()->is_stream)) {
            const double share =
                static_cast<double>(call.details()->waiting) / (2.0 * static_cast<double>(workers_.size()));
            chunk = std::min(chunk, std::ceil(std::max(share, wake_nanoseconds / each)));
        }
    }
    return static_cast<std::uint32_t>(std::clamp(chunk, 1.0, static_cast<double>(batch.count)));
}

std::uint32_t PoolEngine::flags_of(const Batch& batch, std::uint32_t count) const noexcept {
    const ItemBlock& block = *batch.block;
    if (trace_) return CallRecord::timed | CallRecord::watched;
    if (watched_ != 0 && block.call_of(batch.first).options().timeout.count() != 0)
        return CallRecord::timed | CallRecord::watched;
    const double each = block.stats != nullptr ? block.stats->nanoseconds_per_item : 0;
    const bool is_small = each > 0 && each * count < wake_nanoseconds;
    return !is_small || next_id_ % timed_messages == 0 ? CallRecord::timed : 0;
}

// These items cannot be sent to any worker.
void PoolEngine::fail_unsent(Batch& batch, std::uint32_t count, std::size_t end, const ErrorMaker& error) {
    const std::shared_ptr<ItemBlock> block = batch.block;
    const std::uint64_t first = batch.first;
    batch.take(count, end);
    note_taken(*block, batch, count);
    for (std::uint32_t i = 0; i < count; ++i) block->call_of(first + i).add_error(first + i, error);
    account(*block, first, count);
}

// `count` items of the block wait no more; `rest` is what is left of their batch.
void PoolEngine::note_taken(const ItemBlock& block, const Batch& rest, std::uint32_t count) noexcept {
    if (!block.call || block.call->details() == nullptr) return;
    CallDetails& details = *block.call->details();
    details.waiting -= std::min<std::uint64_t>(count, details.waiting);
    if (block.is_spilled() && rest.count == 0) --details.waiting_segments;
}

// Sends the next chunk of `batch`, and cuts it off. False if the worker's ring is full.
bool PoolEngine::dispatch(Worker& worker, Batch& batch) {
    ItemBlock& block = *batch.block;
    CallState& call = block.call_of(batch.first);
    // A message in a segment carries a handle, and cannot be taken back from the ring.
    if (block.is_spilled() && !worker.in_flight.empty()) return false;
    if (!block.attachments.empty() && worker.in_flight.size() >= ahead_unknown) return false;

    const bool internal = call.is_internal();
    std::uint32_t most = chunk_of(batch);
    if (settings_.max_tasks_per_worker != 0 && !internal)
        most =
            static_cast<std::uint32_t>(std::min<std::uint64_t>(most, settings_.max_tasks_per_worker - worker.assigned));
    if (most == 0) return false;  // it has all the tasks it is to run
    std::uint32_t count = 0;
    std::size_t end = batch.offset;
    if (block.has_lengths || block.is_shared()) {
        while (count < most) {
            const std::size_t next = block.next(end);
            if (count != 0 && !block.is_spilled() && next - batch.offset > inline_limit) break;
            if (count != 0 && block.is_shared() && block.call_of(batch.first + count).is_done()) break;
            end = next;
            ++count;
        }
    } else {
        count = most;
        if (block.item_size != 0 && !block.is_spilled())
            count = static_cast<std::uint32_t>(std::clamp<std::size_t>(inline_limit / block.item_size, 1, most));
        end += count * block.item_size;
    }

    CallMessage message;
    message.prefix = block.fields();
    message.items = {block.item(batch.offset), end - batch.offset};
    if (block.is_spilled()) message.lease = &block.lease;
    message.attachments = block.attachments;
    message.task = block.task;
    message.id = next_id_;
    message.count = count;
    message.flags = flags_of(batch, count);
    // Its place is made first, as what was sent must be noted.
    struct Place {
        explicit Place(std::deque<Dispatch>& all) : in_flight(all) { all.emplace_back(); }
        Place(const Place&) = delete;
        Place& operator=(const Place&) = delete;
        ~Place() {
            if (!is_taken) in_flight.pop_back();
        }
        std::deque<Dispatch>& in_flight;
        bool is_taken = false;
    } place(worker.in_flight);
    std::optional<std::uint64_t> position;
    try {
        position = worker.child->send(message);
    } catch (const std::system_error& error) {
        if (internal) {
            worker.refusal = error.what();
        } else if (is_lasting(error.code())) {
            fail_unsent(batch, count, end, maker_of(error));
            return true;
        } else if (is_unreachable(error.code()) && worker.in_flight.size() == 1) {  // which is this message's place
            worker.child->signal(os::Signal::kill);
        }
        // Else it has ended, which will be known in a moment; or no more handles can be on their way to it for now.
    }
    if (!position) return false;

    place.is_taken = true;
    Dispatch& sent = worker.in_flight.back();
    sent.id = next_id_++;
    sent.position = *position;
    sent.end = worker.child->tasks().bottom();
    sent.bytes = message.items.size();
    sent.expected = block.stats != nullptr ? block.stats->nanoseconds_per_item * count : 0;
    worker.ahead += sent.expected;
    sent.batch = batch.take(count, end);
    sent.attempts = sent.batch.attempts;  // still so if this worker dies before it comes to them
    if (internal) return true;
    ++worker.tally.messages;
    worker.tally.bytes_sent += message.items.size();
    if ((message.flags & CallRecord::watched) != 0 && call.options().timeout.count() != 0 &&
        deadline_after(call.options().timeout) < service_deadline_)
        doorbell_.wake_service();
    worker.assigned += count;
    note_taken(block, batch, count);
    if (settings_.max_tasks_per_worker != 0 && worker.assigned >= settings_.max_tasks_per_worker) retire(worker);
    return true;
}

bool PoolEngine::is_internal(const Dispatch& dispatch) noexcept {
    return dispatch.batch.block->call_of(dispatch.batch.first + dispatch.received).is_internal();
}

// Takes the last dispatch out of the worker's ring again, to the front of the queue. False if there is none that it has
// not begun.
bool PoolEngine::take_back_last(Worker& worker) {
    // With the last task of a worker that is to leave go its finalizer and the word to leave; `retire` sends them again.
    std::size_t tasks = worker.in_flight.size();
    if (worker.is_finalizing && tasks != 0 && is_internal(worker.in_flight.back())) --tasks;
    if (tasks == 0) return false;
    Dispatch& last = worker.in_flight[tasks - 1];
    const ItemBlock& block = *last.batch.block;
    if (block.is_spilled() || last.received != 0 || is_internal(last)) return false;
    if (!worker.child->take_back(last.position)) return false;
    worker.is_finalizing = worker.is_told_to_stop = false;
    worker.in_flight.resize(tasks);
    worker.ahead -= last.expected;
    worker.assigned -= last.batch.count;
    --worker.tally.messages;
    worker.tally.bytes_sent -= last.bytes;
    if (block.call) block.call->details()->waiting += last.batch.count;
    pending_.push_front(std::move(last.batch));
    worker.in_flight.pop_back();
    if (worker.in_flight.empty()) may_be_idle_ = true;
    return true;
}

// When nothing is waiting and a worker is idle, half of what the busiest worker has not begun moves over: a slow task
// must not hold up those that were queued behind it.
void PoolEngine::rebalance() {
    if (std::ranges::none_of(workers_, [](const auto& worker) { return worker->in_flight.size() > 1; })) return;
    for (const auto& idle : workers_) {
        if (!idle->in_flight.empty() || !idle->is_usable()) continue;
        const auto busiest = std::ranges::max_element(workers_, {}, [](const auto& worker) {
            return worker->is_broken || worker->is_condemned ? 0 : worker->in_flight.size();
        });
        Worker& busy = **busiest;
        const std::size_t movable = busy.in_flight.size();
        if (movable < 2) return;  // the first one is running, or about to
        // Little work is done before another worker has woken up, unless it takes longer than it should.
        if (busy.ahead > 0 && busy.ahead < movable_nanoseconds && !busy.is_slow) return watch_imbalance();
        for (std::size_t moved = 0; moved < movable / 2; ++moved)
            if (!take_back_last(busy)) break;
        if (busy.is_stopping && !busy.is_told_to_stop) retire(busy);
        if (pending_.empty()) return;
        while (!pending_.empty()) {
            if (!dispatch(*idle, pending_.front())) break;
            if (pending_.front().count == 0) pending_.pop_front();
        }
    }
}

// A worker is idle while another has little to do, as far as anybody can guess. The service thread looks again in a
// moment.
void PoolEngine::watch_imbalance() noexcept {
    if (imbalance_) return;
    imbalance_ = true;
    doorbell_.wake_service();
}

// Who runs the same message as at the last look is slower than it should be: what waits behind it goes elsewhere.
void PoolEngine::look_at_imbalance() {
    imbalance_ = false;
    bool busy = false;
    bool again = false;
    for (const auto& worker : workers_) {
        const std::uint64_t running = worker->in_flight.empty() ? 0 : worker->in_flight.front().id;
        worker->is_slow = running != 0 && running == worker->seen_running;
        if (running != 0) again = end_cancelled_task(*worker) || again;
        worker->seen_running = running;
        busy = busy || running != 0;
    }
    may_be_idle_ = true;
    feed();
    imbalance_ = imbalance_ || again || (busy && !pending_.empty());
}

}  // namespace multiproc::detail
