// What lies where in the arena. Internal to it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "arena.hpp"

namespace multiproc {

inline constexpr std::size_t span_count = Arena::size / Arena::span_size;
inline constexpr std::uint32_t no_process = 0;    // else the index + 1
inline constexpr std::size_t all_holders = 4096;  // as many as the runtime's table has entries
// The bits of those who hold an object: one of the object it belongs to, then those of the processes.
inline constexpr std::size_t owned_bit = 0;
inline constexpr std::size_t holder_bit(std::uint32_t process) noexcept { return process + 1; }
inline constexpr std::size_t bits_per_word = 32;
inline constexpr std::size_t inline_words = 3;
inline constexpr std::size_t all_words = all_holders / bits_per_word + 1;
inline constexpr std::size_t smallest_class = 7;  // 128 bytes
inline constexpr std::size_t largest_class = 15;  // 32 KiB; beyond that an object has spans of its own

enum class Status : std::uint8_t { free, taken, live, clearing };

// The first word of a cell. While it is taken or being cleared, it names the process at work on it.
struct CellWord {
    Status status = Status::free;
    std::uint8_t kind = 0;
    std::uint16_t process = no_process;
    std::uint32_t generation = 0;

    static CellWord unpack(std::uint64_t word) noexcept {
        return {static_cast<Status>(word & 0xff), static_cast<std::uint8_t>(word >> 8),
                static_cast<std::uint16_t>(word >> 16), static_cast<std::uint32_t>(word >> 32)};
    }
    std::uint64_t pack() const noexcept {
        return static_cast<std::uint64_t>(status) | std::uint64_t{kind} << 8 | std::uint64_t{process} << 16 |
               std::uint64_t{generation} << 32;
    }
};

// The word of a free cell: the number that its span got when it was divided. A creator that was about to take a cell when
// all of the span was given back does not find that number there any more, whatever the memory is used for now.
inline std::uint64_t free_cell(std::uint32_t division) noexcept {
    return CellWord{Status::free, 0, no_process, division}.pack();
}

// A span: free, or of cells of 2^shift bytes, or the first of `count` spans of a large object, or the `count`th of the
// others. A process that makes or frees one first takes its first span; it names all that go with it, so that whoever
// sweeps after a death knows them. Of a span of cells `count` is the number of its division.
struct SpanWord {
    std::uint8_t shift = 0;
    enum Use : std::uint8_t { free, cells, taken, large, rest } use = free;
    std::uint16_t process = no_process;  // that is at work on it, while it is taken
    std::uint32_t count = 0;

    static SpanWord unpack(std::uint64_t word) noexcept {
        return {static_cast<std::uint8_t>(word), static_cast<Use>(word >> 8 & 0xff),
                static_cast<std::uint16_t>(word >> 16), static_cast<std::uint32_t>(word >> 32)};
    }
    std::uint64_t pack() const noexcept {
        return shift | std::uint64_t{use} << 8 | std::uint64_t{process} << 16 | std::uint64_t{count} << 32;
    }
};

// How many holders count, and which of them has changed that last, if it may not have noted that yet: its place, and of its
// generation the lowest bits, which tell enough for so short a time.
struct CountWord {
    std::uint32_t count = 0;
    bool is_down = false;
    std::uint32_t place = 0;
    std::uint32_t generation = 0;

    static constexpr int count_bits = 22, place_bits = 24, generation_bits = 17;
    static constexpr std::uint32_t most = (1u << count_bits) - 1, generations = 1u << generation_bits;
    static_assert(Arena::size / Arena::alignment <= std::size_t{1} << place_bits);

    static CountWord unpack(std::uint64_t word) noexcept {
        return {static_cast<std::uint32_t>(word) & most, (word >> count_bits & 1) != 0,
                static_cast<std::uint32_t>(word >> (count_bits + 1)) & ((1u << place_bits) - 1),
                static_cast<std::uint32_t>(word >> (count_bits + 1 + place_bits))};
    }
    std::uint64_t pack() const noexcept {
        return count | std::uint64_t{is_down} << count_bits | std::uint64_t{place} << (count_bits + 1) |
               std::uint64_t{generation} << (count_bits + 1 + place_bits);
    }
};

// What processes change that may not hold the object: half of the word is the object's generation, so that nobody who is
// late changes what belongs to its successor.
struct TaggedWord {
    std::uint32_t generation = 0;
    std::uint32_t value = 0;

    static TaggedWord unpack(std::uint64_t word) noexcept {
        return {static_cast<std::uint32_t>(word >> 32), static_cast<std::uint32_t>(word)};
    }
    std::uint64_t pack() const noexcept { return std::uint64_t{generation} << 32 | value; }

    // True if the word was of that generation still, and has the new value.
    template <class F>
    static bool change(std::atomic<std::uint64_t>& word, std::uint32_t expected, F&& next) noexcept {
        std::uint64_t seen = word.load(std::memory_order_seq_cst);
        do {
            if (unpack(seen).generation != expected) return false;
        } while (!word.compare_exchange_weak(seen, TaggedWord{expected, next(unpack(seen).value)}.pack(),
                                             std::memory_order_seq_cst));
        return true;
    }
    static bool increment(std::atomic<std::uint64_t>& word, std::uint32_t expected) noexcept {
        return change(word, expected, [](std::uint32_t count) { return count + 1; });
    }
};

// In front of every object.
struct Arena::Head {
    std::atomic<std::uint64_t> word;
    std::atomic<std::uint64_t> size;                   // of the payload
    std::atomic<std::uint64_t> holders[inline_words];  // the first holders' bits: TaggedWords, as the next two
    // The place of an object with all the others' bits, once one of them holds this. That has its owner's Ref here.
    std::atomic<std::uint64_t> overflow;
    // How often somebody has begun to hold it, counted when the hold is there: who looks for holders in one place after
    // the other looks again if it has changed meanwhile, as a hold may have moved behind its back.
    std::atomic<std::uint64_t> additions;
    std::atomic<std::uint64_t> counted;  // how many objects hold it by counting: a CountWord
};

struct Arena::Tables {
    std::atomic<std::uint32_t> generations;  // of all objects so far, so that none is taken for an earlier one
    std::atomic<std::uint64_t> spans[span_count];

    static constexpr std::size_t first_span = (sizeof(std::uint64_t) * (span_count + 1) + span_size - 1) / span_size;
};

inline constexpr Arena::Kind overflow_kind = 255;
inline constexpr std::size_t head_size = 64;

}  // namespace multiproc
