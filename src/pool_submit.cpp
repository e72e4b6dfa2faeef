// Calls come in.
#include <algorithm>
#include <cstring>
#include <iterator>
#include <new>
#include <stdexcept>

#include <multiproc/errors.hpp>

#include "error_text.hpp"
#include "local_run.hpp"
#include "pool_engine.hpp"

namespace multiproc::detail {
namespace {

// Small single tasks of one function that wait together share a block of this size.
constexpr std::size_t shared_block_size = 8 * 1024;
constexpr std::size_t most_singles_in_block = 512;
constexpr std::uint64_t references_bought = 64;
// While tasks are submitted one after the other, the rings are looked at once in so many.
constexpr std::uint64_t singles_per_look = 32;

bool has_choices(const CallOptions& options) noexcept {
    return options.timeout.count() != 0 || options.retries.value() != 0 || options.executor || options.on_progress;
}

}  // namespace

void PoolEngine::open_for_work(std::unique_lock<std::mutex>& lock) {
    if (state_ == State::running) return;
    require_open();
    start_locked(lock);
}

const PoolEngine::KnownTask& PoolEngine::know(const TaskTarget& target) {
    if (last_task_.ref == nullptr || last_task_.target.descriptor != target.descriptor ||
        last_task_.target.function != target.function) {
        const TaskRef& ref = refer(target);
        last_task_ = {target, &ref, &stats_[&ref]};
    }
    return last_task_;
}

// Copied before the mutex is taken: copying what the user gave is the user's code.
std::unique_ptr<CallDetails> PoolEngine::details_for(const CallOptions* options) {
    if (options == nullptr || !has_choices(*options)) return nullptr;
    auto details = std::make_unique<CallDetails>();
    details->options = *options;
    return details;
}

// Takes the details, if there are any. If it throws they are left to the caller, who destroys them without the mutex.
CallRef PoolEngine::new_call(const KnownTask& task, std::unique_ptr<CallDetails>& details) {
    // They need that thread at the latest when they are destroyed. Made now, where its failure can be told.
    if (details && details->has_user_code()) callbacks();
    CallRef call(calls_.allocate(*this, *task.ref));
    // A call counts as a user of the engine. Bought by the dozen, since each purchase is a locked instruction.
    if (prepaid_references_ == 0) {
        references_.fetch_add(references_bought, std::memory_order_relaxed);
        prepaid_references_ = references_bought;
    }
    --prepaid_references_;
    if (details) call->set_details(std::move(details));
    return call;
}

// Once nothing can fail any more: the call will be done some day, and this taken back.
void PoolEngine::note_choices(CallState& call) noexcept {
    CallDetails* const details = call.details();
    if (details == nullptr) return;
    if (details->options.timeout.count() != 0) ++watched_;
    // Also if nobody waits for it: what the user gave is to be destroyed when the call is done.
    if (details->has_user_code()) {
        ++details->interest;
        ++interest_;
    }
}

// Where the next single task goes: the block that waits last, if it is of the same kind and has room, or a new one.
ItemBlock& PoolEngine::block_for_single(const KnownTask& task, ItemShape shape, std::span<const std::byte> fields,
                                        std::size_t item_size, std::size_t attachments, bool alone) {
    if (!alone && !pending_.empty()) {
        ItemBlock& last = *pending_.back().block;
        if (last.is_shared() && last.task == task.ref && last.capacity - last.size >= item_size &&
            last.singles.size() < most_singles_in_block &&
            last.attachments.size() + attachments <= std::max(attachments, ItemBlock::most_attachments) &&
            last.prefix == fields.size() &&
            (fields.empty() || std::memcmp(last.bytes.get(), fields.data(), fields.size()) == 0)) {
            if (last.singles.size() == 1) last.singles.reserve(most_singles_in_block);
            return last;
        }
    }
    std::shared_ptr<ItemBlock> block = new_shared_block(fields.size() + item_size, alone);
    block->task = task.ref;
    block->stats = task.stats;
    block->has_lengths = !shape.fixed_size;
    block->item_size = item_size;
    block->result_size = shape.result_size;
    if (!fields.empty()) std::memcpy(block->bytes.get(), fields.data(), fields.size());
    block->prefix = block->size = fields.size();
    Batch batch;
    batch.offset = block->prefix;
    batch.block = std::move(block);
    pending_.push_back(std::move(batch));
    return *pending_.back().block;
}

std::shared_ptr<ItemBlock> PoolEngine::new_shared_block(std::size_t needed, bool alone) {
    if (!alone && spare_block_ && needed <= shared_block_size) return std::exchange(spare_block_, nullptr);
    auto block = std::make_shared<ItemBlock>();
    block->capacity = alone ? needed : std::max(needed, shared_block_size);
    block->bytes.reset(new std::byte[block->capacity]);
    return block;
}

// A block of single tasks that all have their results serves the next ones.
void PoolEngine::reuse(std::shared_ptr<ItemBlock> block) noexcept {
    if (block.use_count() != 1 || block->capacity != shared_block_size || !block->is_shared() || spare_block_) return;
    block->singles.clear();
    block->attachments.clear();
    spare_block_ = std::move(block);
}

// `queue` puts the call's item into the queue. Who waits for the result at once keeps the mutex in between.
template <class Queue>
CallRef PoolEngine::submit_call(const TaskTarget& target, const CallOptions* options, bool waits, Queue queue) {
    require_ours();
    std::unique_ptr<CallDetails> details = details_for(options);
    std::unique_lock lock(mutex_);
    open_for_work(lock);
    const KnownTask& task = know(target);
    CallRef call = new_call(task, details);
    queue(task, call);
    note_choices(*call);
    ++outstanding_;
    if (is_local()) {
        run_here(lock, *call);
    } else {
        after_submission();
        if (!waits) {
            brief_service();
        } else if (!call->is_done()) {
            await_done(lock, *call);
        }
    }
    return call;
}

CallRef PoolEngine::submit_single(const TaskTarget& target, ItemShape shape, std::span<const std::byte> message,
                                  std::size_t prefix, std::span<Attachment> attachments, const CallOptions* options,
                                  bool waits) {
    require_plain(attachments);
    return submit_call(target, options, waits, [&](const KnownTask& task, const CallRef& call) {
        const std::span<const std::byte> item = message.subspan(prefix);
        // What has options of its own is sent, watched and repeated by itself; and each thread of a pool without workers
        // runs its own.
        const bool alone = call->details() != nullptr || is_local();
        ItemBlock& block = block_for_single(task, shape, message.first(prefix), item.size(), attachments.size(), alone);
        block.add_single(call);
        if (!item.empty()) std::memcpy(block.bytes.get() + block.size, item.data(), item.size());
        block.size += item.size();
        if (alone) block.capacity = block.size;  // nothing joins it
        for (Attachment& attachment : attachments) block.attachments.push_back(std::move(attachment));
        ++pending_.back().count;
    });
}

CallRef PoolEngine::submit_single(const TaskTarget& target, ItemShape shape, SegmentLease message, std::size_t size,
                                  std::size_t prefix, std::span<Attachment> attachments, const CallOptions* options,
                                  bool waits) {
    require_plain(attachments);
    return submit_call(target, options, waits, [&](const KnownTask& task, const CallRef& call) {
        auto block = std::make_shared<ItemBlock>();
        block->task = task.ref;
        block->stats = task.stats;
        block->lease = std::move(message);
        block->attachments.assign(std::move_iterator(attachments.begin()), std::move_iterator(attachments.end()));
        block->size = size;
        block->prefix = prefix;
        block->item_size = size - prefix;
        block->result_size = shape.result_size;
        block->add_single(call);
        pending_.push_back({std::move(block), 0, 1, 0, prefix});
    });
}

// A worker without work gets what waits at once. Else small tasks may gather for a moment, so that many of them travel
// as one message; who takes results on the way, or the service thread when a worker runs low, sends them on. It has to be
// told of that: see brief_service.
void PoolEngine::after_submission() {
    if (++pending_items_ >= singles_per_look) {
        pending_items_ = 0;
        pump();
    } else if (may_be_idle_ || pending_.size() > 1 || (is_on_demand() && workers_.size() < size_)) {
        feed();
    }
}

// A pool without workers: everything runs at once, in the thread that submits it. Other threads' calls may be in the
// queue too: each runs its own, or nobody could say in which thread a task runs, and a thread would return from a
// submission while another one is still at it.
void PoolEngine::run_here(std::unique_lock<std::mutex>& lock, CallState& call) {
    for (;;) {
        const auto found = std::ranges::find_if(
            pending_, [&](const Batch& batch) { return &batch.block->call_of(batch.first) == &call; });
        if (found == pending_.end()) return;
        if (skip_finished(*found)) {
            pending_.erase(found);
            continue;
        }
        const Batch part = found->take(1, found->block->next(found->offset));
        if (found->count == 0) pending_.erase(found);
        run_part_here(lock, part);
    }
}

// Runs one item. That it could not be run is its result, too.
void PoolEngine::run_part_here(std::unique_lock<std::mutex>& lock, const Batch& part) {
    CallState& call = part.block->call_of(part.first);
    lock.unlock();
    std::vector<LocalRun::Item> items;
    ErrorMaker failure;
    std::chrono::nanoseconds in_calls{0};
    const os::Clock::time_point begun = os::Clock::now();
    try {
        LocalRun run;
        items = run.run(part);
        in_calls = run.in_calls();
    } catch (const std::bad_alloc& error) { failure = maker_of(error); } catch (...) {
        failure = maker_of(std::runtime_error(current_exception_text()));
    }
    const std::chrono::nanoseconds time = os::Clock::now() - begun;
    lock.lock();
    const bool has_failed = failure || items.front().is_error;
    try {
        if (trace_) {
            trace_->add_task(trace_->row_of_this_thread(), call.task(),
                             static_cast<std::uint64_t>(std::chrono::nanoseconds(begun.time_since_epoch()).count()),
                             static_cast<std::uint64_t>(time.count()), has_failed);
        }
        if (failure) {
            call.add_error(part.first, failure);
        } else if (items.front().is_error) {
            call.add_error(part.first, decoder_of(std::move(items.front().bytes)));
        } else {
            ResultMessage message;
            message.count = 1;
            message.data = items.front().bytes.data();
            message.size = items.front().bytes.size();
            message.blocks = std::move(items.front().blocks);
            call.add_results(part.first, message);
        }
    } catch (const std::bad_alloc& error) { call.fail(maker_of(error)); }
    ++past_.tasks;
    past_.failures += has_failed ? 1 : 0;
    past_.running += time;
    past_.encoding += time - in_calls;
    account(*part.block, part.first, 1);
}

CallRef PoolEngine::begin_map(const TaskTarget& target, const CallOptions& options, ResultSink sink) {
    require_ours();
    auto details = std::make_unique<CallDetails>();
    details->options = options;
    details->is_map = true;
    details->sink = std::move(sink);
    std::unique_lock lock(mutex_);
    open_for_work(lock);
    CallRef call = new_call(know(target), details);
    note_choices(*call);
    ++open_inputs_;
    return call;
}

CallRef PoolEngine::begin_stream(const TaskTarget& target, const CallOptions& options) {
    CallRef call = begin_map(target, options, {});
    const std::lock_guard lock(mutex_);
    call->details()->is_stream = true;
    --open_inputs_;
    ++open_streams_;
    return call;
}

void PoolEngine::submit_items(CallState& call, std::shared_ptr<ItemBlock> block, std::uint64_t count) {
    require_plain(block->attachments);
    std::unique_lock lock(mutex_);
    if (state_ == State::terminated || state_ == State::broken) require_open();
    CallDetails& details = *call.details();
    if (details.is_stream && is_joining_)
        throw ClosedError("multiproc: the pool was joined before an imap of it was read to its end");
    block->task = &call.task();
    block->stats = &stats_[&call.task()];
    call.retain();
    block->call = CallRef(&call);
    if (block->is_spilled()) ++details.waiting_segments;
    // A batch counts in 32 bits; an array may be longer.
    std::size_t offset = block->prefix;
    for (std::uint64_t left = count; left != 0;) {
        const auto part = static_cast<std::uint32_t>(std::min<std::uint64_t>(left, UINT32_MAX / 2));
        pending_.push_back({block, details.items, part, 0, offset});
        details.items += part;
        left -= part;
        offset += part * block->item_size;
    }
    details.waiting += count;
    outstanding_ += count;
    if (is_local()) return run_here(lock, call);
    // Now and then the submitting thread takes results on the way; that is cheaper than waking another for it.
    if (pending_.size() % 64 == 0) {
        pump();
    } else {
        feed();
    }
    brief_service();
}

void PoolEngine::complete_input(CallState& call) {
    const std::lock_guard lock(mutex_);
    --(call.details()->is_stream ? open_streams_ : open_inputs_);
    call.complete_input();
    if (call.is_done()) call_done(call);
    if (state_ == State::closing) doorbell_.wake_service();
}

void PoolEngine::withdraw(CallState& call) {
    if (!is_ours()) return;
    const std::lock_guard lock(mutex_);
    CallDetails& details = *call.details();
    if (!std::exchange(details.is_complete, true)) --(details.is_stream ? open_streams_ : open_inputs_);
    if (call.is_done()) return call_done(call);
    call.fail(maker_of(CancelledError("multiproc: the call was withdrawn")));
    for (const auto& worker : workers_) take_back_call(*worker, call);
    std::erase_if(pending_, [&](const Batch& batch) {
        if (batch.block->call.get() != &call) return false;
        forget_items(batch.count);
        return true;
    });
    call_done(call);
    feed();
    brief_service();
    if (state_ == State::closing) doorbell_.wake_service();
}

}  // namespace multiproc::detail
