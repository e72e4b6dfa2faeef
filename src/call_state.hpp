// One call of a pool: a single task, or the items of a map. Guarded by its pool's mutex until `is_done`, then constant.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <vector>

#include "error_transport.hpp"
#include "result_record.hpp"
#include "segment_cache.hpp"
#include "task_ref.hpp"

namespace multiproc::detail {

// Encoded arguments of some items of a call, kept until the items have results.
struct ItemBlock {
    std::unique_ptr<std::byte[]> bytes;  // the callable's fields, then the items
    std::size_t size = 0;
    SegmentLease lease;        // or, if that became too large: all of it, in a segment
    std::size_t prefix = 0;    // bytes of the callable's fields
    bool has_lengths = false;  // each item begins with its length; else all have `item_size`
    std::size_t item_size = 0;

    bool is_spilled() const noexcept { return lease.segment != nullptr; }
    const std::byte* data() const noexcept { return is_spilled() ? lease.data() : bytes.get(); }
    // The offset behind the item at `offset`.
    std::size_t next(std::size_t offset) const noexcept {
        if (!has_lengths) return offset + item_size;
        // A segment may have been written to by the worker that had it, so its lengths are not trusted.
        std::uint64_t length = 0;
        if (size - offset < sizeof length) return size;
        std::memcpy(&length, data() + offset, sizeof length);
        if (length > size - offset - sizeof length) return size;
        return offset + sizeof length + static_cast<std::size_t>(length);
    }
};

// How long the items of one task take, learned from results.
struct TaskStats {
    double nanoseconds_per_item = 0;  // 0: not known yet

    void learn(double sample) noexcept {
        nanoseconds_per_item = nanoseconds_per_item == 0 ? sample : nanoseconds_per_item * 0.75 + sample * 0.25;
    }
};

// Results of up to this many bytes are copied out of the segment they came in.
inline constexpr std::size_t copied_result = 1024 * 1024;

class CallState {
public:
    // The results of consecutive items.
    struct Part {
        std::uint64_t first = 0;
        std::uint32_t count = 0;
        std::unique_ptr<std::byte[]> bytes;
        std::size_t size = 0;
        std::shared_ptr<os::Segment> segment;

        Part() = default;
        Part(Part&&) noexcept = default;
        Part& operator=(Part&& other) noexcept {
            release_segment();
            first = other.first;
            count = other.count;
            bytes = std::move(other.bytes);
            size = other.size;
            segment = std::move(other.segment);
            return *this;
        }
        ~Part() { release_segment(); }
        void release_segment() noexcept {
            if (segment) head_of(*segment).in_use.store(0, std::memory_order_release);  // the worker may reuse it
            segment.reset();
        }
        std::span<const std::byte> view() const noexcept {
            return {segment ? segment->data() + segment_payload : bytes.get(), size};
        }
    };

    std::shared_ptr<const TaskRef> task;
    TaskStats* stats = nullptr;
    std::size_t chunk_size = 0;          // 0: adaptive
    std::uint64_t items = 0;             // written so far
    std::uint64_t finished = 0;          // of them with a result or error
    std::uint64_t waiting = 0;           // of them not handed to a worker
    std::uint64_t waiting_segments = 0;  // messages too big for a ring among them
    bool is_complete = false;            // all items are written
    bool is_internal = false;            // a pool's initializer or finalizer

    bool is_done() const noexcept { return done_.load(std::memory_order_acquire); }

    void add_results(std::uint64_t first, const ResultMessage& message) {
        Part part;
        part.first = first;
        part.count = message.count;
        part.size = message.size;
        part.segment = message.segment;  // from here on the part gives it back to the worker
        finished += message.count;
        if (is_done()) return;
        // A middling result is copied, so that the worker has its segment back before anybody asks for the result.
        if (message.size != 0 && (!part.segment || message.size <= copied_result)) {
            part.bytes.reset(new std::byte[message.size]);
            std::memcpy(part.bytes.get(), message.data, message.size);
            part.release_segment();
        }
        parts_.push_back(std::move(part));
        settle();
    }
    // Item `index` threw; `message` holds the error. Of several errors that of the first item counts.
    void add_error(std::uint64_t index, const ResultMessage& message) {
        if (is_first_error(index)) {
            local_error_ = nullptr;
            remote_error_.assign(message.bytes().begin(), message.bytes().end());
        }
        if (message.segment) head_of(*message.segment).in_use.store(0, std::memory_order_release);
        finish_failed();
    }
    // Item `index` failed in a way that this process knows of.
    void add_error(std::uint64_t index, std::exception_ptr error) {
        if (is_first_error(index)) local_error_ = std::move(error);
        finish_failed();
    }
    // All of it fails, now.
    void fail(std::exception_ptr error) {
        if (is_done()) return;
        local_error_ = std::move(error);
        has_error_ = true;
        parts_.clear();
        done_.store(true, std::memory_order_release);
    }
    void complete_input() {
        is_complete = true;
        if (!is_done()) settle();
    }

    // Once done.
    bool has_error() const noexcept { return has_error_; }
    // A new exception object for every caller: threads must not share one.
    std::exception_ptr error() const {
        if (local_error_ || !has_error_) return local_error_;
        InputBuffer in(remote_error_);
        return decode_exception(in);
    }
    const std::vector<Part>& parts() const noexcept { return parts_; }

private:
    bool is_first_error(std::uint64_t index) noexcept {
        if (is_done() || (has_error_ && index > error_index_)) return false;
        has_error_ = true;
        error_index_ = index;
        return true;
    }
    void finish_failed() {
        ++finished;
        if (!is_done()) settle();
    }
    void settle() {
        if (!is_complete || finished < items) return;
        std::ranges::sort(parts_, {}, &Part::first);
        done_.store(true, std::memory_order_release);
    }

    std::vector<Part> parts_;
    bool has_error_ = false;
    std::uint64_t error_index_ = 0;
    std::exception_ptr local_error_;
    std::vector<std::byte> remote_error_;
    std::atomic<bool> done_{false};
};

}  // namespace multiproc::detail
