// Small shared objects (locks, queues, values) of all processes of one program, in one sparse segment.
//
// An object is known by its place and a generation that tells its users apart, eight bytes that mean the same in every
// process: so it travels in any message without a handle. Each process that uses an object holds it, by one bit in the
// object's head; the last one that lets go frees it. A bit is set and cleared as often as one likes to the same effect,
// so the holds of a process that has died can be taken back whatever it was doing, and nothing is counted twice. Whoever
// hands an object on holds it until the receiver does.
//
// Memory is divided into spans of one size of cells each; a large object takes several spans. What is free says the first
// word of each cell, and of each span: it changes hands by one exchange, and names the process at work on it, so there is
// no list or tree that a death could leave half-linked.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "os.hpp"

namespace multiproc {

class Arena {
public:
    static constexpr std::size_t size = sizeof(void*) == 8 ? std::size_t{1} << 30 : std::size_t{1} << 27;
    static constexpr std::size_t span_size = 64 * 1024;
    static constexpr std::size_t alignment = 64;  // of every object

    // What an object is; says how it is cleared when nobody holds it any more.
    using Kind = std::uint8_t;

    struct Ref {
        std::uint32_t place = 0;  // in units of `alignment`; 0: no object
        std::uint32_t generation = 0;
        friend bool operator==(const Ref&, const Ref&) = default;
        explicit operator bool() const noexcept { return place != 0; }
        std::uint64_t pack() const noexcept { return std::uint64_t{generation} << 32 | place; }
        static Ref unpack(std::uint64_t word) noexcept {
            return {static_cast<std::uint32_t>(word), static_cast<std::uint32_t>(word >> 32)};
        }
    };

    // What all processes share; made by the first one, mapped by each that uses it.
    static os::Handle create_memory() { return os::Segment::create_sparse(size); }
    // `self`: this process's index in the runtime's table. Throws std::system_error.
    Arena(os::Handle memory, std::uint32_t self);
    // In a copy of the process, made by fork, as which it is another: what it has copied pointers to is where it was.
    Arena(const Arena& original, std::uint32_t self) : segment_(original.segment_), self_(self) {}

    // Called when an object of this kind is freed: lets go of what it holds itself. After a death it may be called again
    // for the same object, by another process.
    using Clear = void (*)(Arena&, std::byte* payload) noexcept;
    static void set_clear(Kind kind, Clear clear) noexcept;
    // Called for each object of this kind after a process has died: finishes what that had begun with it.
    using Sweep = void (*)(Arena&, Ref, std::uint32_t process) noexcept;
    static void set_sweep(Kind kind, Sweep sweep) noexcept;

    // A new object with `bytes` zeroed bytes, held by this process. Thread-safe. Throws std::bad_alloc when the arena is
    // full.
    Ref create(Kind kind, std::size_t bytes);
    // Makes room, if `create` finds none: small objects leave the memory they were in to others of their size.
    void reclaim() noexcept;
    // This process holds the object from now on. False if there is none such. Thread-safe.
    bool hold(Ref ref) noexcept { return hold_for(ref, self_); }
    // The same in the name of a process that is being started.
    bool hold_for(Ref ref, std::uint32_t process) noexcept;
    // It holds it no more. Thread-safe.
    void release(Ref ref) noexcept { release_for(ref, self_); }
    // The same for everything that a process that has ended held or was at work on.
    void release_all(std::uint32_t process) noexcept;

    // Objects can hold others. What has one owner at most (a part of it, or what is in a queue) is marked: setting and
    // taking back the mark can be repeated without harm, as after a death. What may be held by several is counted.
    void mark_owned(Ref ref) noexcept;
    void release_owned(Ref ref) noexcept;

    // Counting can be repeated as well, as `note`, a word in the holder that is 0 at first, says how far it has come:
    // whatever happens in between, once `count_down` is done the holder counts no more. See arena_counting.cpp.
    using Note = std::atomic<std::uint64_t>;
    bool count_up(Ref ref, Ref holder, Note& note) noexcept;
    void count_down(Ref ref, Ref holder, Note& note) noexcept;
    // Where holders of a kind have their note on an object; null if it has none.
    using FindNote = Note* (*)(std::byte* payload, Ref ref) noexcept;
    static void set_find_note(Kind kind, FindNote how) noexcept;

    // Whether there is such an object, without holding it.
    bool exists(Ref ref) const noexcept { return find(ref) != nullptr; }
    // The same, also as long as it is being freed, which may come to nothing.
    bool may_exist(Ref ref) const noexcept { return find(ref, true) != nullptr; }

    // Of an object that is held.
    std::byte* payload(Ref ref) const noexcept;
    std::size_t payload_size(Ref ref) const noexcept;
    Kind kind(Ref ref) const noexcept;
    Ref ref_of(const std::byte* payload) const noexcept;

    // Where something of an object lies: the same in every process.
    std::uint64_t place_of_byte(const void* byte) const noexcept {
        return static_cast<std::uint64_t>(static_cast<const std::byte*>(byte) - segment_->data());
    }

    // Whether that is the memory of this arena, wherever it is mapped.
    bool has(const std::byte* payload) const noexcept {
        return payload >= segment_->data() && payload < segment_->data() + size;
    }

    // For tests; spans that somebody is at work on, or that were lost, count as well.
    std::size_t object_count() const noexcept;

private:
    struct Head;
    struct Tables;
    Tables& tables() const noexcept { return *reinterpret_cast<Tables*>(segment_->data()); }
    bool has_memory(std::size_t span, std::size_t count = 1) const noexcept;
    Head* head_at(std::uint32_t place) const noexcept;
    Head* find(Ref ref, bool also_clearing = false) const noexcept;
    static std::size_t class_of(std::size_t bytes) noexcept;
    std::uint32_t place_of(const Head& head) const noexcept;
    std::uint64_t take(std::uint32_t& generation) noexcept;
    bool take_spans(std::size_t first, std::size_t count) noexcept;
    void give_spans_back(std::size_t first, std::size_t count) noexcept;
    bool divide(std::size_t span, std::size_t size_class) noexcept;
    std::optional<Ref> create_in_span(std::size_t span, std::size_t cell_size, Kind kind, std::size_t bytes) noexcept;
    std::optional<Ref> create_small(std::size_t size_class, Kind kind, std::size_t bytes) noexcept;
    std::optional<Ref> create_large(Kind kind, std::size_t bytes) noexcept;
    std::optional<Ref> begin(Head& head, std::uint32_t generation, Kind kind, std::size_t bytes) noexcept;
    std::atomic<std::uint64_t>* holders_word(Head& head, Ref ref, std::size_t bit, bool make) noexcept;
    std::uint32_t make_overflow(Head& head, Ref ref) noexcept;
    bool set_holder(Head& head, Ref ref, std::size_t bit) noexcept;
    std::atomic<std::uint64_t>* words_in(std::uint32_t overflow) const noexcept;
    void clear_memory(std::byte* begin, std::size_t bytes) const noexcept;
    bool change_count(Head& head, Ref ref, Ref holder, Note& note, bool is_down) noexcept;
    void settle(std::uint64_t word, Ref ref) noexcept;
    bool is_held(Head& head) noexcept;
    bool has_holder(Head& head) noexcept;
    void release_for(Ref ref, std::uint32_t process) noexcept;
    void clear_holder(Ref ref, std::size_t bit) noexcept;
    void free_unless_held(Head& head, Ref ref) noexcept;
    void release_overflow(Head& head, Ref ref) noexcept;
    void free(Head& head, std::uint64_t seen) noexcept;
    void vacate(Head& head) noexcept;
    void sweep_overflow(Head& head, std::uint64_t seen) noexcept;
    void sweep_cell(Head& head, std::uint32_t process) noexcept;

    std::shared_ptr<os::Segment> segment_;
    std::uint32_t self_;
    std::unique_ptr<std::atomic<bool>[]> committed_;          // by span, where that needs to be done
    std::array<std::atomic<std::uint32_t>, 16> last_span_{};  // by size class: where there was room
};

}  // namespace multiproc
