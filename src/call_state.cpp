#include "call_state.hpp"

#include <new>

#include "error_transport.hpp"
#include "per_process.hpp"
#include "pool_engine.hpp"

namespace multiproc::detail {
namespace {

// Results of up to this many bytes are copied out of the segment they came in, so that the worker has it back before
// anybody asks for the result.
constexpr std::size_t copied_result = 1024 * 1024;

}  // namespace

ErrorMaker decoder_of(std::vector<std::byte> encoded) {
    return [encoded = std::move(encoded)] {
        InputBuffer in(encoded);
        return decode_exception(in);
    };
}

// If there is no memory for a copy, the message still has everything.
ResultPart::ResultPart(ResultMessage& message) : count(message.count), size(message.size) {
    const bool is_copied = size != 0 && (!message.segment || size <= copied_result);
    if (is_copied) {
        bytes.reset(new std::byte[size]);
        std::memcpy(bytes.get(), message.data, size);
    }
    blocks = std::move(message.blocks);
    block = std::move(message.block);
    segment = std::move(message.segment);  // from here on the part gives it back to the worker
    if (is_copied) release_segment();
}

ResultPart& ResultPart::operator=(ResultPart&& other) noexcept {
    release_segment();
    first = other.first;
    count = other.count;
    bytes = std::move(other.bytes);
    size = other.size;
    segment = std::move(other.segment);
    blocks = std::move(other.blocks);
    block = std::move(other.block);
    return *this;
}

void give_back(std::shared_ptr<os::Segment>& segment) noexcept {
    head_of(*segment).in_use.store(0, std::memory_order_release);
    segment.reset();
}

void ResultPart::release_segment() noexcept {
    if (segment) give_back(segment);
}

const CallOptions& CallState::options() const noexcept {
    return details_ ? details_->options : of_this_program<CallOptions>();
}

void CallState::release() noexcept {
    // Who has the last reference has it alone, so nobody can add one in between.
    if (references_.load(std::memory_order_acquire) == 1 || references_.fetch_sub(1, std::memory_order_acq_rel) == 1)
        engine_->recycle(this);
}

void CallState::hold_small_block(Attachment block) {
    const auto* const kept = new Attachment(std::move(block));
    std::memcpy(small_ + small_result_with_block, &kept, sizeof kept);
    has_small_block_ = true;
}

void CallState::add_results(std::uint64_t first, ResultMessage& message) {
    const std::size_t most = message.block ? small_result_with_block : small_result;
    if (!is_map() && !message.segment && message.size <= most && message.blocks.empty()) {
        if (is_done()) return;
        if (message.block) hold_small_block(std::move(message.block));
        set_small_result(message.data, message.size);
        return;
    }
    CallDetails& details = need_details();
    if (details.sink && first == details.sunk && !message.segment && !is_done()) {
        details.sink(message.bytes(), message.count);
        details.sunk += message.count;
        sink_parts();
    } else {
        ResultPart part(message);
        part.first = first;
        if (is_done()) {
            // Nobody wants it any more.
        } else if (details.is_stream) {
            details.arrived.push_back({std::move(part), {}});
        } else {
            details.parts.push_back(std::move(part));
        }
    }
    // Last: if there is no memory for them, they are not there, and the call must not end as if they were.
    details.finished += message.count;
    settle();
}

// Hands over what had come too early.
void CallState::sink_parts() {
    std::vector<ResultPart>& parts = details_->parts;
    for (bool found = true; found && !parts.empty();) {
        found = false;
        for (ResultPart& part : parts) {
            if (part.first != details_->sunk) continue;
            details_->sink(part.view(), part.count);
            details_->sunk += part.count;
            std::swap(part, parts.back());
            parts.pop_back();
            found = true;
            break;
        }
    }
}

void CallState::add_error(std::uint64_t index, ErrorMaker error) {
    if (is_done()) return;
    CallDetails& details = need_details();
    if (details.is_stream) {
        StreamPart part;
        part.results.first = index;
        part.results.count = 1;
        part.error = std::move(error);
        details.arrived.push_back(std::move(part));
    } else if (!details.error || index < details.error_index) {
        details.error = std::move(error);
        details.error_index = index;
    }
    ++details.finished;
    settle();
}

void CallState::fail(ErrorMaker error) {
    if (is_done()) return;
    CallDetails& details = need_details();
    details.error = std::move(error);
    details.parts.clear();
    done_.store(true, std::memory_order_release);
}

void CallState::complete_input() {
    details_->is_complete = true;
    settle();
}

void CallState::settle() {
    if (is_done()) return;
    CallDetails& details = *details_;
    if (details.is_map) {
        if (!details.is_complete || details.finished < details.items) return;
        if (details.sink && !details.error) sink_parts();
        std::ranges::sort(details.parts, {}, &ResultPart::first);
    }
    done_.store(true, std::memory_order_release);
}

CallState* CallSlab::allocate(PoolEngine& engine, const TaskRef& task) {
    if (free_ == nullptr) free_ = returned_.exchange(nullptr, std::memory_order_acquire);
    if (free_ == nullptr) {
        auto chunk = std::make_unique<Cell[]>(cells_per_chunk);
        for (std::size_t i = cells_per_chunk; i-- != 0;) free_ = (chunk[i].next = free_, &chunk[i]);
        chunks_.push_back(std::move(chunk));
    }
    Cell* const cell = std::exchange(free_, free_->next);
    return ::new (cell->place) CallState(engine, task);
}

std::unique_ptr<CallDetails> CallSlab::recycle(CallState* call) noexcept {
    std::unique_ptr<CallDetails> details = std::move(call->details_);
    call->~CallState();
    auto* const cell = reinterpret_cast<Cell*>(call);
    cell->next = returned_.load(std::memory_order_relaxed);
    while (!returned_.compare_exchange_weak(cell->next, cell, std::memory_order_release, std::memory_order_relaxed)) {}
    return details;
}

}  // namespace multiproc::detail
