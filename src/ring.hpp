// Two rings in shared memory between a parent and one worker, each with a single producer and a single consumer.
//
// Positions are byte counts that only grow; `position & (capacity - 1)` is the place in the ring. A record never wraps:
// a skip record fills the end of the ring where the next one does not fit. What the other side wrote is read once,
// checked, and then used from the copy.
//
// The task ring is a Chase-Lev deque: the parent pushes at the bottom, the worker claims at the top, and the parent can
// take back from the bottom what the worker has not claimed. So tasks can be handed out ahead of need and still be
// moved to another worker, be cancelled, or survive the worker's death; and the parent always knows which task was
// running.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

namespace multiproc {

inline constexpr std::size_t ring_cell = 16;
// A message of up to this many bytes travels in a ring; a larger one in a segment of its own.
inline constexpr std::size_t inline_limit = 32 * 1024;
inline constexpr std::size_t cache_line = 64;

constexpr std::size_t round_up_to_cell(std::size_t size) noexcept { return (size + ring_cell - 1) & ~(ring_cell - 1); }

enum class RecordKind : std::uint32_t {
    skip = 1,
    call,             // parent to worker: run these items
    call_in_segment,  //   the same, arguments in a segment
    stop,             //   leave when you come to this
    values,           // worker to parent: results of one or more items
    error,            //   the exception of one item
};

// How both kinds of record begin. `size` is the whole record, a multiple of ring_cell.
struct RecordHead {
    std::uint32_t size;
    RecordKind kind;
};

struct SegmentRef {
    std::uint64_t token;  // by which the receiver asks for the handle, if it was sent with this message
    std::uint64_t bytes;  // of the message in it
    std::uint64_t size;   // of the whole segment
    std::uint32_t place;  // where the receiver keeps it for later; segment_places for one that is used once
    std::uint32_t has_handle;
};

struct CallRecord {
    RecordHead head;
    std::uint64_t id;
    std::uint64_t descriptor;  // offset in its module
    std::uint64_t function;    // offset in its module, or 0
    std::uint64_t signature;
    std::uint32_t count;
    std::uint32_t modules;  // bytes of module names behind the record; 0: everything is in the executable
    std::uint64_t prefix;   // bytes of the callable's fields behind that...
    std::uint64_t items;    // ... and of the arguments behind those
    SegmentRef segment;  // for a call in a segment: the fields are at its begin, the arguments at the end of its bytes
};

struct ResultRecord {
    RecordHead head;
    std::uint64_t id;
    // Items and bytes that are complete, packed into one word so that they change together (TaskRun::pack).
    std::atomic<std::uint64_t> progress;
    std::uint64_t nanoseconds;  // since the worker began with this call
    std::uint32_t first;        // index of the first item in here
    std::uint32_t in_segment;   // 1: a SegmentRef follows, and the message is there
    std::uint64_t unused;
};
static_assert(sizeof(CallRecord) % ring_cell == 0 && sizeof(ResultRecord) % ring_cell == 0);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<std::uint32_t>::is_always_lock_free);

// ---- tasks: parent to worker ----------------------------------------------------------------------------------------

struct TaskRingHeader {
    alignas(cache_line) std::atomic<std::uint64_t> bottom;    // written by the parent
    alignas(cache_line) std::atomic<std::uint64_t> claimed;   // moved by whoever gets a record: worker or parent
    alignas(cache_line) std::atomic<std::uint64_t> released;  // written by the worker: what is before it may be reused
};

class TaskRingParent {
public:
    TaskRingParent() = default;
    TaskRingParent(TaskRingHeader* header, std::byte* data, std::size_t capacity) noexcept
        : header_(header), data_(data), capacity_(capacity) {}

    // Room for a record of `size` bytes, or nullptr. It is sent by `push`.
    std::byte* reserve(std::size_t size) noexcept {
        size = round_up_to_cell(size);
        std::size_t place = bottom_ & (capacity_ - 1);
        const std::size_t to_end = capacity_ - place;
        const std::size_t skip = size <= to_end ? 0 : to_end;
        if (!has_room(skip + size)) return nullptr;
        if (skip != 0) {
            const RecordHead head{static_cast<std::uint32_t>(skip), RecordKind::skip};
            std::memcpy(data_ + place, &head, sizeof head);
            bottom_ += skip;
            place = 0;
        }
        return data_ + place;
    }

    // Sends the record written at the place that `reserve(size)` returned; returns its position.
    std::uint64_t push(std::size_t size) noexcept {
        const std::uint64_t position = bottom_;
        bottom_ += round_up_to_cell(size);
        header_->bottom.store(bottom_, std::memory_order_release);
        return position;
    }

    // Takes back the last record that was pushed, which begins at `position`. False if the worker has claimed it.
    bool take_back(std::uint64_t position) noexcept {
        // As in Chase-Lev: announce the new bottom, then look at the top. The fence orders the store before the load;
        // the worker has the mirrored fence between its two loads, so not both can miss what the other did.
        const std::uint64_t old_bottom = bottom_;
        header_->bottom.store(position, std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_seq_cst);
        std::uint64_t top = header_->claimed.load(std::memory_order_relaxed);
        if (top < position) {
            bottom_ = position;
            return true;
        }
        // It is at the top: whoever moves the top has it. If we win, the record's place is spent like a claimed one, so
        // that the worker, which may be looking at it, never sees another record at the same position.
        const bool won =
            top == position && header_->claimed.compare_exchange_strong(top, old_bottom, std::memory_order_seq_cst);
        header_->bottom.store(old_bottom, std::memory_order_release);
        return won;
    }

    bool is_claimed(std::uint64_t position) const noexcept {
        return header_->claimed.load(std::memory_order_acquire) > position;
    }
    // False when the worker has written nonsense over its side of the ring.
    bool is_sound() const noexcept {
        const std::uint64_t released = header_->released.load(std::memory_order_relaxed);
        const std::uint64_t claimed = header_->claimed.load(std::memory_order_relaxed);
        return released <= bottom_ && claimed <= bottom_ && bottom_ - released <= capacity_;
    }
    std::size_t capacity() const noexcept { return capacity_; }

private:
    bool has_room(std::size_t size) noexcept {
        if (bottom_ + size - released_ <= capacity_) return true;
        const std::uint64_t released = header_->released.load(std::memory_order_acquire);
        if (released < released_ || released > bottom_) return false;  // nonsense: is_sound tells
        released_ = released;
        return bottom_ + size - released_ <= capacity_;
    }

    TaskRingHeader* header_ = nullptr;
    std::byte* data_ = nullptr;
    std::size_t capacity_ = 0;
    std::uint64_t bottom_ = 0;
    std::uint64_t released_ = 0;  // a copy, refreshed only when the ring looks full
};

class TaskRingWorker {
public:
    TaskRingWorker() = default;
    TaskRingWorker(TaskRingHeader* header, const std::byte* data, std::size_t capacity) noexcept
        : header_(header), data_(data), capacity_(capacity) {}

    // The next record, now owned by this worker until `release` (or the next claim); nullptr if there is none.
    const std::byte* claim() noexcept {
        for (;;) {
            std::uint64_t top = header_->claimed.load(std::memory_order_acquire);
            // Nothing is held here, so everything before the top may be reused, also what the parent took back there.
            if (top != claimed_end_) {
                claimed_end_ = top;
                release();
            }
            std::atomic_thread_fence(std::memory_order_seq_cst);  // see take_back
            const std::uint64_t bottom = header_->bottom.load(std::memory_order_acquire);
            if (top >= bottom) return nullptr;
            // The record at the top cannot be replaced before the top moves, so its head is what was pushed; if it was
            // taken back meanwhile the exchange fails.
            RecordHead head;
            std::memcpy(&head, data_ + (top & (capacity_ - 1)), sizeof head);
            if (!header_->claimed.compare_exchange_strong(top, top + head.size, std::memory_order_seq_cst)) continue;
            if (head.kind == RecordKind::skip) continue;
            claimed_end_ = top + head.size;
            return data_ + (top & (capacity_ - 1));
        }
    }
    void release() noexcept { header_->released.store(claimed_end_, std::memory_order_release); }

    bool is_empty() const noexcept { return backlog() == 0; }
    // Bytes pushed and not claimed.
    std::size_t backlog() const noexcept {
        const std::uint64_t bottom = header_->bottom.load(std::memory_order_acquire);
        const std::uint64_t top = header_->claimed.load(std::memory_order_relaxed);
        return bottom > top ? static_cast<std::size_t>(bottom - top) : 0;
    }

private:
    TaskRingHeader* header_ = nullptr;
    const std::byte* data_ = nullptr;
    std::size_t capacity_ = 0;
    std::uint64_t claimed_end_ = 0;
};

// ---- results: worker to parent --------------------------------------------------------------------------------------

struct ResultRingHeader {
    alignas(cache_line) std::atomic<std::uint64_t> tail;  // written by the worker
    alignas(cache_line) std::atomic<std::uint64_t> head;  // written by the parent
};

class ResultRingWorker {
public:
    ResultRingWorker() = default;
    ResultRingWorker(ResultRingHeader* header, std::byte* data, std::size_t capacity) noexcept
        : header_(header), data_(data), capacity_(capacity) {}

    struct Room {
        std::byte* place;
        std::size_t size;
    };
    // Contiguous room for a record of at least `size` bytes, as much as there is at once; place is null if there is
    // none now. The bytes at the tail are readable by the parent should this process die.
    Room reserve(std::size_t size) noexcept {
        std::size_t place = tail_ & (capacity_ - 1);
        std::size_t to_end = capacity_ - place;
        std::size_t free = capacity_ - static_cast<std::size_t>(tail_ - head_);
        if (free < size + (size <= to_end ? 0 : to_end)) {
            head_ = header_->head.load(std::memory_order_acquire);
            free = capacity_ - static_cast<std::size_t>(tail_ - head_);
        }
        if (size > to_end) {
            if (free < to_end + size) return {nullptr, 0};
            const RecordHead head{static_cast<std::uint32_t>(to_end), RecordKind::skip};
            std::memcpy(data_ + place, &head, sizeof head);
            push(to_end);
            free -= to_end;
            place = 0;
            to_end = capacity_;
        }
        if (free < size) return {nullptr, 0};
        return {data_ + place, free < to_end ? free : to_end};
    }
    // Whether the parent has taken everything.
    bool is_drained() const noexcept { return header_->head.load(std::memory_order_acquire) == tail_; }
    void push(std::size_t size) noexcept {
        tail_ += size;
        header_->tail.store(tail_, std::memory_order_release);
    }

private:
    ResultRingHeader* header_ = nullptr;
    std::byte* data_ = nullptr;
    std::size_t capacity_ = 0;
    std::uint64_t tail_ = 0;
    std::uint64_t head_ = 0;
};

class ResultRingParent {
public:
    ResultRingParent() = default;
    ResultRingParent(ResultRingHeader* header, const std::byte* data, std::size_t capacity) noexcept
        : header_(header), data_(data), capacity_(capacity) {}

    struct Record {
        RecordHead head;  // a checked copy
        const std::byte* place;
    };
    // The next record, if one was sent. `is_sound` is false afterwards if what is there cannot be a record.
    std::optional<Record> peek() noexcept {
        for (;;) {
            const std::uint64_t tail = header_->tail.load(std::memory_order_acquire);
            if (tail == head_) return std::nullopt;
            const std::optional<Record> record = check(tail);
            if (!record || record->head.kind != RecordKind::skip) return record;
            pop(*record);
        }
    }
    void pop(const Record& record) noexcept {
        head_ += record.head.size;
        header_->head.store(head_, std::memory_order_release);
    }
    bool is_empty() const noexcept { return header_->tail.load(std::memory_order_acquire) == head_; }
    bool is_sound() const noexcept { return sound_; }

    // After the worker's death and after the last `peek`: the place of the record it was still writing.
    const std::byte* unfinished() const noexcept { return data_ + (head_ & (capacity_ - 1)); }
    std::size_t unfinished_room() const noexcept { return capacity_ - (head_ & (capacity_ - 1)); }

private:
    std::optional<Record> check(std::uint64_t tail) noexcept {
        const std::uint64_t sent = tail - head_;
        const std::size_t place = head_ & (capacity_ - 1);
        Record record{{}, data_ + place};
        if (sent <= capacity_ && sent >= sizeof(RecordHead)) {
            std::memcpy(&record.head, record.place, sizeof record.head);
            const std::size_t size = record.head.size;
            if (size >= ring_cell && size % ring_cell == 0 && size <= sent && size <= capacity_ - place) return record;
        }
        sound_ = false;
        return std::nullopt;
    }

    ResultRingHeader* header_ = nullptr;
    const std::byte* data_ = nullptr;
    std::size_t capacity_ = 0;
    std::uint64_t head_ = 0;
    bool sound_ = true;
};

}  // namespace multiproc
