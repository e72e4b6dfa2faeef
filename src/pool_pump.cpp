// Results in.
#include <algorithm>
#include <exception>
#include <new>
#include <system_error>

#include <multiproc/errors.hpp>

#include "error_text.hpp"
#include "error_transport.hpp"
#include "pool_engine.hpp"

namespace multiproc::detail {

// What goes wrong here (no memory left) must not strike the thread that happens to come by, but the whole pool.
void PoolEngine::pump() noexcept {
    try {
        move_tasks_and_results();
    } catch (const std::exception& error) { break_pool(std::string("this process has run into ") + error.what()); }
}

void PoolEngine::move_tasks_and_results() {
    if (has_exits_.load(std::memory_order_acquire)) handle_exits();
    for (const auto& worker : workers_) drain(*worker);
    detach_unused_blocks();
    feed();
    if (state_ == State::closing) retire_idle();
    send_what_is_late();
}

// Workers keep the shared blocks they were sent; what nobody here uses any more they let go of.
void PoolEngine::detach_unused_blocks() {
    if (!block_signal_->take()) return;
    for (const auto& worker : workers_)
        if (worker->is_staying()) worker->child->send_detached();
}

bool PoolEngine::has_news() {
    if (has_exits_.load(std::memory_order_acquire)) return true;
    return std::ranges::any_of(
        workers_, [](const auto& worker) { return !worker->is_broken && !worker->child->results().is_empty(); });
}

// Whether it still has something to send: results, or that it let go of a block.
bool PoolEngine::is_expected(const Worker& worker) noexcept {
    return !worker.in_flight.empty() || worker.child->has_leaving_blocks();
}

// Takes what a worker has sent.
void PoolEngine::drain(Worker& worker) {
    ResultRingParent& ring = worker.child->results();
    if (ring.is_empty() || worker.is_broken) return;
    while (const std::optional<ResultRingParent::Record> record = ring.peek()) {
        if (!accept(worker, *record)) {
            worker.is_broken = true;
            break;
        }
        ring.pop(*record);
        // The place of the next record is still the worker's, and it has nothing to put there: looking would cost the
        // way of a cache line. Should it have put something there all the same, the next look finds it.
        if (!is_expected(worker)) break;
    }
    if (ring.is_sound() && !worker.is_broken) {
        if (worker.child->take_borrowed()) worker.child->wake();  // to let go of what this process holds now
        // It may wait for room in the ring. One that has sent everything waits for tasks alone, and these wake it.
        if (is_expected(worker)) worker.child->wake();
        return;
    }
    give_up(worker);
}

// A worker that sends nonsense is ended; its running task fails with how it died, as after any death.
void PoolEngine::give_up(Worker& worker) {
    worker.is_broken = true;
    worker.child->signal(os::Signal::kill);
}

// Whether the record makes sense as the next result of what this worker was given.
bool PoolEngine::accept(Worker& worker, const ResultRingParent::Record& record) {
    try {
        if (worker.child->accept_block(record)) return true;
        ResultMessage message = read_result_record(record);
        return deliver(worker, message);
    } catch (const std::exception&) { return false; }
}

bool PoolEngine::deliver(Worker& worker, ResultMessage& message) {
    if (worker.in_flight.empty()) return false;
    Dispatch& dispatch = worker.in_flight.front();
    const ItemBlock& block = *dispatch.batch.block;
    if (message.id != dispatch.id || message.first != dispatch.received ||
        message.count > dispatch.batch.count - dispatch.received)
        return false;
    const std::uint64_t index = dispatch.batch.first + dispatch.received;
    try {
        attach_memory(message, *worker.child, block.attachments);
        if (!store_results(block, index, message)) return false;
    } catch (const std::bad_alloc&) {
        fail_results(block, index, message, [] { return std::make_exception_ptr(std::bad_alloc()); });
    } catch (const std::system_error& error) {
        if (error.code() == std::errc::bad_message) throw;
        fail_results(block, index, message, maker_of(error));
    }
    note_finished(worker, dispatch, message);
    finish_items(worker, message.count);
    return true;
}

// False if they are not what such items have as results.
bool PoolEngine::store_results(const ItemBlock& block, std::uint64_t first, ResultMessage& message) {
    if (message.is_error) {
        const std::span<const std::byte> bytes = message.bytes();
        block.call_of(first).add_error(first, decoder_of({bytes.begin(), bytes.end()}));
        if (message.segment) give_back(message.segment);
    } else if (block.call) {
        block.call->add_results(first, message);
    } else if (message.count == 1) {
        block.call_of(first).add_results(first, message);
    } else {
        const std::size_t size = block.result_size;
        if (size > CallState::small_result || message.size != size * message.count) return false;
        for (std::uint32_t i = 0; i < message.count; ++i) {
            CallState& call = block.call_of(first + i);
            if (!call.is_done()) call.set_small_result(message.data + i * size, size);
        }
    }
    return true;
}

// This process has no room for them (memory, handles, mappings): the items have that as their error, as the worker is not
// to blame.
void PoolEngine::fail_results(const ItemBlock& block, std::uint64_t first, ResultMessage& message,
                              const ErrorMaker& error) {
    for (std::uint32_t i = 0; i < message.count; ++i) block.call_of(first + i).add_error(first + i, error);
    if (message.segment) give_back(message.segment);
}

// `count` items of the worker's first dispatch have their result or error.
void PoolEngine::finish_items(Worker& worker, std::uint32_t count) {
    Dispatch& dispatch = worker.in_flight.front();
    const std::uint64_t first = dispatch.batch.first + dispatch.received;
    dispatch.received += count;
    std::shared_ptr<ItemBlock> block;
    if (dispatch.received != dispatch.batch.count) {
        block = dispatch.batch.block;
    } else {
        block = std::move(dispatch.batch.block);
        worker.ahead -= dispatch.expected;
        worker.child->tasks().release(dispatch.end);
        worker.in_flight.pop_front();
        if (worker.in_flight.empty()) {
            worker.ahead = 0;  // no drift by rounding
            may_be_idle_ = true;
            if (is_on_demand()) note_idle(worker);
        }
    }
    CallState& call = block->call_of(first);
    if (call.is_internal()) {
        if (worker.is_stopping && worker.is_initialised) return;  // its finalizer; an error there changes nothing
        worker.is_initialised = true;
        failed_starts_ = 0;
        if (call.has_error()) break_pool("the " + set_up_name() + " threw " + text_of(call.error()));
        return;
    }
    account(*block, first, count);
    reuse(std::move(block));
}

// `count` items of the block have their result or error: whoever waits for them is told.
void PoolEngine::account(ItemBlock& block, std::uint64_t first, std::uint32_t count) {
    forget_items(count);
    if (block.call) {
        call_progressed(*block.call);
        return;
    }
    for (std::uint32_t i = 0; i < count; ++i) {
        CallState*& single = block.singles[static_cast<std::size_t>(first + i)];
        call_done(*single);
        std::exchange(single, nullptr)->release();
    }
}

}  // namespace multiproc::detail
