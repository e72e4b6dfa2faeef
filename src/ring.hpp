// Two rings in shared memory between a parent and one worker, each with a single producer and a single consumer.
//
// Positions are byte counts that only grow; `position & (capacity - 1)` is the place in the ring. A record never wraps:
// a skip record fills the end of the ring where the next one does not fit. Each record begins with one word that says
// what it is, and is published by storing that word last. The word at the place of the next record is zeroed before, so
// the consumer looks at nothing but the place it has come to: a small record takes one cache line from one processor to
// the other, not one for the data and another for an index. The word behind that is zeroed ahead of need, after the
// publication: who waits for the record does not wait until the line behind it has changed processors as well.
//
// Tasks can be handed out ahead of need and still be moved to another worker, be cancelled, or survive the worker's
// death, and the parent always knows which task was running: a task is begun by the worker or taken back by the parent,
// never both. Each side writes lines of its own only, so beginning a task does not cost the worker the ownership of a
// line that the parent has just written. The worker says in `begun` where the record ends that it begins with, and
// looks at the record's word once more; the parent marks the word as withheld, and then looks at `begun`. Both put a
// full fence between their store and their load, so at least one of them sees what the other did:
// - The worker sees that the word has changed: it withdraws what it said, and has begun nothing.
// - The parent sees that the record is begun: it restores the word, and has taken nothing back.
// - Both see it: both give way, and the worker begins again with the restored word. Until the parent has decided the
//   worker treats the record as one that is not there yet, so neither waits for the other.
// The worker's second look also finds the word when the parent has taken the record back and put another like it to the
// same place meanwhile. Then it has begun that one: the load acquires its contents, and had the parent marked it before
// the worker's fence, the load would have seen the mark.
//
// What the other side wrote is read once, checked, and then used from the copy.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

#include "die_here.hpp"

namespace multiproc {

inline constexpr std::size_t cache_line = 64;
inline constexpr std::size_t ring_cell = cache_line;
// A message of up to this many bytes travels in a ring; a larger one in a segment of its own.
inline constexpr std::size_t inline_limit = 32 * 1024;

constexpr std::size_t round_up_to_cell(std::size_t size) noexcept { return (size + ring_cell - 1) & ~(ring_cell - 1); }

enum class RecordKind : std::uint16_t {
    nothing,
    skip,
    task,             // parent to worker: what a number in the calls to come means
    call,             //   run these items
    call_in_segment,  //   the same, arguments in a segment
    attach,           // both ways: shared memory that the next message refers to
    detach,           // parent to worker: shared memory that need not be kept any more; and back, when it is not
    refuse,           // worker to parent: shared memory that it could not take in
    discard,          // parent to worker: handles were sent that no record asks for any more
    stop,             // parent to worker: leave when you come to this
    result,           // worker to parent: results of one or more items, or the exception of one
};

// The first word of a record, unpacked. `size` is of the whole record, a multiple of ring_cell.
struct RecordHead {
    std::uint32_t size = 0;
    RecordKind kind = RecordKind::nothing;
    bool withheld = false;  // the parent is about to take it back

    static RecordHead unpack(std::uint64_t word) noexcept {
        return {static_cast<std::uint32_t>(word), static_cast<RecordKind>(word >> 48), (word >> 32 & 1) != 0};
    }
    std::uint64_t pack() const noexcept {
        return size | std::uint64_t{withheld} << 32 | std::uint64_t{static_cast<std::uint16_t>(kind)} << 48;
    }
};
using RecordWord = std::atomic<std::uint64_t>;

struct SegmentRef {
    std::uint64_t token;  // by which the receiver asks for the handle, if it was sent with this message
    std::uint64_t bytes;  // of the message in it
    std::uint64_t size;   // of the whole segment
    std::uint32_t place;  // where the receiver keeps it for later; segment_places for one that is used once
    std::uint32_t has_handle;
};

// Behind it: the names of its modules, encoded; nothing if all is in the executable.
struct TaskRecord {
    RecordWord word;
    std::uint64_t descriptor, function, signature;  // see TaskPlace
    std::uint32_t number;
    std::uint32_t modules;  // bytes
};

// Behind it: the callable's fields and the items' arguments; or a SegmentCall.
struct CallRecord {
    RecordWord word;
    std::uint64_t id;
    std::uint32_t task;    // its number
    std::uint32_t count;   // of items
    std::uint32_t prefix;  // bytes of the callable's fields
    std::uint32_t items;   // bytes of the arguments
    std::uint32_t flags;
    std::uint32_t unused;

    static constexpr std::uint32_t timed = 1;    // the result is to say when it began and how long it took
    static constexpr std::uint32_t watched = 2;  // the worker is to announce that it begins
};

// The fields are at the begin of the segment's message, the arguments at its end.
struct SegmentCall {
    SegmentRef ref;
    std::uint64_t prefix;
    std::uint64_t items;
};

// Behind it: the results; or a SegmentRef. A timed one ends with a ResultTiming.
struct ResultRecord {
    RecordWord word;
    std::uint64_t id;
    // Items and bytes that are complete, packed into one word so that they change together (TaskRun::pack).
    std::atomic<std::uint64_t> progress;
    std::uint32_t first;  // index of the first item in here
    std::uint32_t form;

    static constexpr std::uint32_t in_segment = 1;  // a SegmentRef follows, and the message is there
    static constexpr std::uint32_t error = 2;
    static constexpr std::uint32_t timed = 8;
    // The result refers to a block that the parent keeps; its id is at an offset that the upper bits give.
    static constexpr std::uint32_t names_block = 4;
    static constexpr unsigned block_offset_shift = 8;
};
// At the very end of the record's last cell, so that what is not timed is shorter by it.
struct ResultTiming {
    std::uint64_t begun;        // when the worker began with this call, in nanoseconds of the steady clock...
    std::uint64_t nanoseconds;  // ... how long it has taken so far...
    std::uint64_t in_calls;     // ... and how much of that were the functions themselves
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<std::uint32_t>::is_always_lock_free);

// What both rings have in common: places, and publishing a record.
class RingMemory {
public:
    RingMemory() = default;
    RingMemory(std::byte* data, std::size_t capacity) noexcept : data_(data), capacity_(capacity) {}

    std::size_t capacity() const noexcept { return capacity_; }
    std::byte* at(std::uint64_t position) const noexcept { return data_ + (position & (capacity_ - 1)); }
    RecordWord& word(std::uint64_t position) const noexcept { return *reinterpret_cast<RecordWord*>(at(position)); }
    std::size_t to_end(std::uint64_t position) const noexcept { return capacity_ - (position & (capacity_ - 1)); }

    // Whether such a record can be there. Since a skip record fills the end of the ring, and a record fits its begin, no two
    // of them follow each other: else who looks for the next record might skip round and round.
    bool can_be_at(std::uint64_t position, const RecordHead& head) const noexcept {
        const std::size_t room = to_end(position);
        if (head.kind == RecordKind::skip) return head.size == room && room != capacity_;
        return head.size != 0 && head.size % ring_cell == 0 && head.size <= room;
    }

    // So many cells behind a record are the producer's: for the words that `publish` zeroes.
    static constexpr std::size_t cells_behind = 2;

    // Makes the record at `position` visible, and the place behind it the next to be looked at.
    void publish(std::uint64_t position, RecordHead head) const noexcept {
        const std::uint64_t next = position + head.size;
        // Mostly zeroed by the record before. Looking first keeps the line from changing hands in front of the store
        // below, which becomes visible after this one.
        if (is_dirty(next)) clear(next);
        die_here(DeathPoint::record_written);
        word(position).store(head.pack(), std::memory_order_release);
        die_here(DeathPoint::record_published);
        clear(next + ring_cell);
    }

private:
    // What an earlier record left must pass neither for a record, nor for the progress of one that a worker was writing
    // when it died (`unfinished`).
    bool is_dirty(std::uint64_t position) const noexcept {
        return word(position).load(std::memory_order_relaxed) != 0 ||
               progress(position).load(std::memory_order_relaxed) != 0;
    }
    void clear(std::uint64_t position) const noexcept {
        word(position).store(0, std::memory_order_relaxed);
        progress(position).store(0, std::memory_order_relaxed);
    }
    std::atomic<std::uint64_t>& progress(std::uint64_t position) const noexcept {
        return reinterpret_cast<ResultRecord*>(at(position))->progress;
    }

    std::byte* data_ = nullptr;
    std::size_t capacity_ = 0;
};

// ---- tasks: parent to worker ----------------------------------------------------------------------------------------

struct TaskRingHeader {
    alignas(cache_line) std::atomic<std::uint64_t> begun;  // written by the worker: it has begun what is before it
};

class TaskRingParent {
public:
    TaskRingParent() = default;
    TaskRingParent(const TaskRingHeader* header, RingMemory ring) noexcept : header_(header), ring_(ring) {}

    // Room for a record of `size` bytes, or nullptr. It is sent by `push`, if at all.
    std::byte* reserve(std::size_t size) noexcept {
        size = round_up_to_cell(size);
        const std::size_t to_end = ring_.to_end(bottom_);
        const std::size_t skip = size <= to_end ? 0 : to_end;
        const std::size_t needed = skip + size + RingMemory::cells_behind * ring_cell;
        if (bottom_ + needed - released_ > ring_.capacity()) return nullptr;
        if (skip != 0) {
            ring_.publish(bottom_, {static_cast<std::uint32_t>(skip), RecordKind::skip});
            die_here(DeathPoint::task_ring_wrapped);
            bottom_ += skip;
        }
        return ring_.at(bottom_);
    }

    // Sends the record written at the place that `reserve(size)` returned; returns its position.
    std::uint64_t push(RecordKind kind, std::size_t size) noexcept {
        const std::uint64_t position = bottom_;
        size = round_up_to_cell(size);
        ring_.publish(position, {static_cast<std::uint32_t>(size), kind});
        bottom_ += size;
        if (furthest_ < bottom_) furthest_ = bottom_;
        return position;
    }
    std::uint64_t bottom() const noexcept { return bottom_; }

    // Takes back the record that begins at `position`, and those behind it, which the worker has not come to either then.
    // False if it has begun with it.
    bool take_back(std::uint64_t position) noexcept {
        RecordWord& word = ring_.word(position);
        const std::uint64_t ready = word.load(std::memory_order_relaxed);  // nobody else writes it
        if (ready == 0 || is_begun(position)) return false;
        RecordHead head = RecordHead::unpack(ready);
        head.withheld = true;
        word.store(head.pack(), std::memory_order_relaxed);
        die_here(DeathPoint::task_withheld);
        std::atomic_thread_fence(std::memory_order_seq_cst);  // mirrored in `begin`
        if (is_begun(position)) {
            word.store(ready, std::memory_order_release);
            return false;
        }
        word.store(0, std::memory_order_relaxed);
        die_here(DeathPoint::task_taken_back);
        bottom_ = position;
        return true;
    }

    // What the worker says counts only if it can be: nobody begins what was never sent. What was sent and taken back
    // does count: `begun` may name it until the worker has withdrawn that, and those before it were begun.
    bool is_begun(std::uint64_t position) const noexcept {
        const std::uint64_t begun = header_->begun.load(std::memory_order_acquire);
        return begun > position && begun <= furthest_;
    }

    // The worker is done with everything before `position`.
    void release(std::uint64_t position) noexcept { released_ = position; }

private:
    const TaskRingHeader* header_ = nullptr;
    RingMemory ring_;
    std::uint64_t bottom_ = 0;
    std::uint64_t furthest_ = 0;  // that `bottom_` has ever been
    std::uint64_t released_ = 0;
};

class TaskRingWorker {
public:
    TaskRingWorker() = default;
    TaskRingWorker(TaskRingHeader* header, RingMemory ring) noexcept : header_(header), ring_(ring) {}

    struct Record {
        RecordHead head;
        std::byte* place;
    };
    // The next record, now this worker's; nothing if there is none. `is_sound` is false afterwards if what is there cannot
    // be a record.
    std::optional<Record> begin() noexcept {
        for (;;) {
            const RecordWord& word = ring_.word(top_);
            const std::uint64_t seen = word.load(std::memory_order_acquire);
            const RecordHead head = RecordHead::unpack(seen);
            if (seen == 0 || head.withheld) return std::nullopt;
            if (!ring_.can_be_at(top_, head)) {
                sound_ = false;
                return std::nullopt;
            }
            if (head.kind == RecordKind::skip) {
                top_ += head.size;
                continue;
            }
            header_->begun.store(top_ + head.size, std::memory_order_relaxed);
            die_here(DeathPoint::task_begun);
            std::atomic_thread_fence(std::memory_order_seq_cst);  // mirrored in `take_back`
            if (word.load(std::memory_order_acquire) != seen) {
                header_->begun.store(top_, std::memory_order_relaxed);
                continue;
            }
            die_here(DeathPoint::task_is_mine);
            std::byte* const place = ring_.at(top_);
            top_ += head.size;
            return Record{head, place};
        }
    }

    bool is_empty() const noexcept { return next(top_) == 0; }
    bool is_sound() const noexcept { return sound_; }
    // Whether at most one record is waiting.
    bool is_low() const noexcept {
        const std::uint32_t size = next(top_);
        return size == 0 || next(top_ + size) == 0;
    }

private:
    std::uint32_t next(std::uint64_t position) const noexcept {
        return RecordHead::unpack(ring_.word(position).load(std::memory_order_acquire)).size;
    }

    TaskRingHeader* header_ = nullptr;
    RingMemory ring_;
    std::uint64_t top_ = 0;
    bool sound_ = true;
};

// ---- results: worker to parent --------------------------------------------------------------------------------------

struct ResultRingHeader {
    alignas(cache_line) std::atomic<std::uint64_t> head;  // written by the parent: what is before it may be reused
};

class ResultRingWorker {
public:
    ResultRingWorker() = default;
    ResultRingWorker(ResultRingHeader* header, RingMemory ring) noexcept : header_(header), ring_(ring) {}

    struct Room {
        std::byte* place;
        std::size_t size;
    };
    // Contiguous room for a record of at least `size` bytes, as much as there is at once; place is null if there is
    // none now. The bytes there are readable by the parent should this process die. The record's word stays zero until
    // `push`.
    Room reserve(std::size_t size) noexcept {
        size = round_up_to_cell(size);
        const std::size_t to_end = ring_.to_end(tail_);
        const std::size_t skip = size <= to_end ? 0 : to_end;
        if (free() < skip + size) {
            head_ = header_->head.load(std::memory_order_acquire);
            if (free() < skip + size) return {nullptr, 0};
        }
        if (skip != 0) {
            ring_.publish(tail_, {static_cast<std::uint32_t>(skip), RecordKind::skip});
            die_here(DeathPoint::result_ring_wrapped);
            tail_ += skip;
        }
        const std::size_t room = ring_.to_end(tail_);
        return {ring_.at(tail_), free() < room ? free() : room};
    }
    void push(RecordKind kind, std::size_t size) noexcept {
        size = round_up_to_cell(size);
        ring_.publish(tail_, {static_cast<std::uint32_t>(size), kind});
        tail_ += size;
    }
    std::uint64_t tail() const noexcept { return tail_; }
    // Whether the parent has taken everything before `position`.
    bool is_taken(std::uint64_t position) const noexcept {
        return header_->head.load(std::memory_order_acquire) >= position;
    }
    // Whether the parent has taken everything.
    bool is_drained() const noexcept { return header_->head.load(std::memory_order_acquire) == tail_; }

private:
    std::size_t free() const noexcept {
        return ring_.capacity() - static_cast<std::size_t>(tail_ - head_) - RingMemory::cells_behind * ring_cell;
    }

    ResultRingHeader* header_ = nullptr;
    RingMemory ring_;
    std::uint64_t tail_ = 0;
    std::uint64_t head_ = 0;
};

class ResultRingParent {
public:
    ResultRingParent() = default;
    ResultRingParent(ResultRingHeader* header, RingMemory ring) noexcept : header_(header), ring_(ring) {}

    struct Record {
        RecordHead head;  // a checked copy
        const std::byte* place;
    };
    // The next record, if one was sent. `is_sound` is false afterwards if what is there cannot be a record.
    std::optional<Record> peek() noexcept {
        for (;;) {
            const std::uint64_t seen = ring_.word(head_).load(std::memory_order_acquire);
            if (seen == 0) return std::nullopt;
            const Record record{RecordHead::unpack(seen), ring_.at(head_)};
            if (!ring_.can_be_at(head_, record.head) || record.head.withheld) {
                sound_ = false;
                return std::nullopt;
            }
            if (record.head.kind != RecordKind::skip) return record;
            pop(record);
        }
    }
    void pop(const Record& record) noexcept {
        head_ += record.head.size;
        header_->head.store(head_, std::memory_order_release);
        die_here(DeathPoint::result_popped);
    }
    bool is_empty() const noexcept { return next_word().load(std::memory_order_acquire) == 0; }
    // What ceases to be zero when the next record is sent.
    const RecordWord& next_word() const noexcept { return ring_.word(head_); }
    bool is_sound() const noexcept { return sound_; }

    // After the worker's death and after the last `peek`: the place of the record it was still writing.
    const std::byte* unfinished() const noexcept { return ring_.at(head_); }
    std::size_t unfinished_room() const noexcept { return ring_.to_end(head_); }

private:
    ResultRingHeader* header_ = nullptr;
    RingMemory ring_;
    std::uint64_t head_ = 0;
    bool sound_ = true;
};

}  // namespace multiproc
