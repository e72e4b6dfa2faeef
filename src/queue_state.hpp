// What a queue is in shared memory, and what its items are in that do not fit their slots.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include <multiproc/buffer.hpp>

#include "arena.hpp"
#include "queue_ring.hpp"
#include "wait_set.hpp"

namespace multiproc::detail {

struct QueueState {
    std::uint32_t max_size;  // 0: no limit
    std::uint32_t stride;
    std::uint32_t counts;                // 1: what was taken is unfinished until somebody says that it is done with
    std::atomic<std::uint64_t> first;    // the ring that items are taken from: a Ref. Owned, as are those behind it
    std::atomic<std::uint64_t> last;     // the ring that items are put into, or one before it
    std::atomic<std::uint64_t> leaving;  // at the queue's end: the ring that is let go of
    // Items that were taken, less those that are done with; below 0 if somebody is ahead of that.
    alignas(64) std::atomic<std::int64_t> unfinished;
    alignas(64) WaitSet getters;
    alignas(64) WaitSet putters;
    alignas(64) WaitSet joiners;
};

inline QueueState& queue_in(std::byte* state) noexcept { return *reinterpret_cast<QueueState*>(state); }

// What an item is in that does not fit its slot, or that refers to something. Other objects it holds by counting; what
// stands for blocks of shared memory (block_store.hpp) is its own. Very large items are in such a block themselves.
struct Parcel {
    std::uint64_t size;
    std::uint32_t references;
    std::uint32_t body;  // 0: the item is here, behind the references; else which of these it is in, from 1 on

    struct Reference {
        std::uint64_t ref;
        Arena::Note is_counted;
        std::atomic<std::uint64_t> is_owned;
    };
    Reference* reference(std::size_t index) noexcept { return reinterpret_cast<Reference*>(this + 1) + index; }
    std::size_t size_here() const noexcept { return body != 0 ? 0 : static_cast<std::size_t>(size); }
    std::byte* bytes() noexcept { return reinterpret_cast<std::byte*>(reference(references)); }
    static std::size_t size_for(std::size_t references, std::size_t bytes) noexcept {
        return sizeof(Parcel) + references * sizeof(Reference) + bytes;
    }
};

// A ring in a new object, held by this process. Throws std::bad_alloc.
Arena::Ref make_ring(Arena& arena, std::uint32_t capacity, std::uint32_t limit, std::uint32_t stride);

// An item's parcel before it is in the queue: let go of unless it gets there.
class NewParcel {
public:
    // Throws std::bad_alloc, and std::system_error for shared memory that cannot be handed on.
    NewParcel(Arena& arena, const OutputBuffer& message);
    ~NewParcel() {
        if (ref_) arena_.release(ref_);
    }
    NewParcel(const NewParcel&) = delete;
    NewParcel& operator=(const NewParcel&) = delete;

    // The slot names it before it is the queue's, and it is the queue's before it is this process's no more: at each
    // instant somebody who finds this process dead knows whose it is.
    void hand_over(QueueSlot& slot) noexcept;

private:
    void fill(Parcel& parcel, std::span<const Attachment> attached);

    Arena& arena_;
    Arena::Ref ref_;
};

}  // namespace multiproc::detail
