// Encoded arguments of consecutive items, kept until the items have results.
//
// The items of a map belong to one call. Single tasks of the same function that wait together share a block too, each
// with a call of its own: thousands of small tasks then travel as a few messages.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "call_state.hpp"
#include "segment_cache.hpp"

namespace multiproc::detail {

struct ItemBlock {
    ItemBlock() = default;
    ItemBlock(const ItemBlock&) = delete;
    ItemBlock& operator=(const ItemBlock&) = delete;
    ~ItemBlock() {
        for (CallState* single : singles)
            if (single != nullptr) single->release();
    }

    const TaskRef* task = nullptr;
    TaskStats* stats = nullptr;
    CallRef call;                     // of all items; or
    std::vector<CallState*> singles;  // of each, until it has a result: a reference each

    // The callable's fields, then the items: in memory of this process, a segment, or (the items) the caller's array.
    std::unique_ptr<std::byte[]> bytes;
    std::size_t capacity = 0;
    bool takes_more = false;  // single tasks that wait with it may join it
    SegmentLease lease;
    const std::byte* view = nullptr;
    std::size_t size = 0;
    std::size_t prefix = 0;  // bytes of the callable's fields

    std::vector<Attachment> attachments;  // what they refer to
    // Items with more than these between them are not sent as one message, since each handle that is on its way counts
    // against limits of the system.
    static constexpr std::size_t most_attachments = 16;

    bool has_lengths = false;  // each item begins with its length; else all have `item_size`
    std::size_t item_size = 0;
    std::size_t result_size = unknown_size;  // of each item

    static constexpr std::size_t unknown_size = SIZE_MAX;

    bool is_spilled() const noexcept { return lease.segment != nullptr; }
    bool is_shared() const noexcept { return !call; }
    std::span<const std::byte> fields() const noexcept { return {is_spilled() ? lease.data() : bytes.get(), prefix}; }
    // Offsets of items count from the begin of the fields, which a view has elsewhere.
    const std::byte* item(std::size_t offset) const noexcept {
        if (view != nullptr) return view + (offset - prefix);
        return (is_spilled() ? lease.data() : bytes.get()) + offset;
    }
    // The offset behind the item at `offset`.
    std::size_t next(std::size_t offset) const noexcept {
        if (!has_lengths) return offset + item_size;
        std::uint64_t length = 0;
        if (size - offset < sizeof length) return size;
        std::memcpy(&length, item(offset), sizeof length);
        if (length > size - offset - sizeof length) return size;
        return offset + sizeof length + static_cast<std::size_t>(length);
    }
    // A new call, which nobody else can have referred to yet.
    void add_single(const CallRef& single) {
        singles.push_back(nullptr);  // may throw, so before there is a reference more
        single->retain_unshared();
        singles.back() = single.get();
    }
    CallState& call_of(std::uint64_t index) const noexcept {
        return call ? *call : *singles[static_cast<std::size_t>(index)];
    }
};

// Items of a block that stand together.
struct Batch {
    std::shared_ptr<ItemBlock> block;
    std::uint64_t first = 0;  // index of its first item: in the call, or among the block's singles
    std::uint32_t count = 0;
    std::uint32_t attempts = 0;  // how often a worker has died with the first of them
    std::size_t offset = 0;      // of that item in the block

    // Cuts `items` off its begin. What is left of a batch that was taken whole is good for nothing.
    Batch take(std::uint32_t items, std::size_t end) {
        Batch taken{items == count ? std::move(block) : block, first, items, attempts, offset};
        first += items;
        count -= items;
        offset = end;
        attempts = 0;
        return taken;
    }
};

}  // namespace multiproc::detail
