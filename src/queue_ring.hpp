// A ring of slots for many producers and many consumers, of any processes, any of which may be killed at any instant.
//
// Each slot has one word that says all: how often the ring has come round to it (its lap), what it is, and whose it is at
// the moment. It goes from free to writing (by a producer), ready, taken (by a consumer), and free again in the next lap,
// and each step is one exchange. Where the first and the last item are (`head`, `tail`) is a hint that everybody helps
// along. Who meets a slot whose owner is dead goes on in its place: what was being written is skipped, what was being
// read is given up. So a death costs one item at most, and never stops anybody.
//
// A ring that is followed by another is closed by whoever finds it empty: from then on the next one counts.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "arena.hpp"
#include "die_here.hpp"
#include "runtime.hpp"

namespace multiproc {

struct QueueSlot {
    std::atomic<std::uint64_t> word;
    std::atomic<std::uint64_t> parcel;  // an object that the item is in, or 0: it is behind this
    std::uint32_t size;                 // of the item
    std::uint32_t unused;

    std::byte* payload() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
};

class QueueRing {
public:
    static std::size_t bytes_for(std::uint32_t capacity, std::uint32_t stride) noexcept {
        return sizeof(QueueRing) + std::size_t{capacity} * stride;
    }
    // In zeroed memory. `capacity` is a power of two; `limit`: items at most.
    void set_up(std::uint32_t capacity, std::uint32_t limit, std::uint32_t stride) noexcept;

    enum class Result : std::uint8_t {
        done,
        no,      // no slot is free, or no item is there
        busy,    // the next item is being written
        closed,  // another ring counts
    };
    struct Claim {
        Result result;
        QueueSlot* slot = nullptr;
        std::uint64_t position = 0;
        std::uint64_t seen = 0;  // the word of the slot that is in the way
    };

    // How this process signs.
    static std::uint32_t self() noexcept { return Runtime::get().self_ref().pack_short(); }
    // The next free slot is this process's to write. `publish` it soon: consumers wait for it.
    Claim claim(std::uint32_t self) noexcept;
    void publish(const Claim& claim) noexcept;
    // The oldest item is this process's. `free` its slot soon.
    Claim take(std::uint32_t self) noexcept { return take_or_look(self, true); }
    void free(const Claim& claim) noexcept;
    // What `take` would say, without taking anything.
    Claim look() noexcept { return take_or_look(0, false); }
    // Takes a slot over from an owner that has died, if that is what is in the way. `abandon` is called with the slot
    // before it goes on.
    template <class Abandon>
    bool clear_away(const Claim& claim, Abandon abandon);
    // Closes the ring where it is empty. False if there is something after all.
    bool close(const Claim& claim) noexcept;

    // Whether an item is there, or being put in or taken, in whatever slot; those of the dead do not count, if they were
    // cleared away before.
    bool is_in_use() const noexcept;
    // Of a slot that was seen free: whether nothing was put into the ring since.
    static bool is_unchanged(const Claim& claim) noexcept {
        return claim.slot->word.load(std::memory_order_seq_cst) == claim.seen;
    }

    // Whether the slot that is in the way of `claim` is about to be free: its item was taken.
    static bool is_being_taken(const Claim& claim) noexcept {
        return claim.result == Result::no && state_of(claim.seen) == taken;
    }

    // Whether `take`, or `claim`, may have something to say.
    bool has_news() const noexcept;
    bool has_room() const noexcept;
    std::uint64_t size() const noexcept;
    bool has_room_for_several() const noexcept { return size() + 1 < limit_; }

    // Every slot whose owner has died, wherever it is.
    template <class Abandon>
    void clear_all_away(Abandon abandon) {
        for (std::uint64_t i = 0; i <= mask_; ++i) {
            QueueSlot& slot = slot_at(i);
            clear_away({Result::busy, &slot, i, slot.word.load(std::memory_order_acquire)}, abandon);
        }
    }
    // What items refer to, for whoever frees the ring.
    template <class Visit>
    void for_each_parcel(Visit visit) {
        for (std::uint64_t i = 0; i <= mask_; ++i)
            if (const std::uint64_t parcel = slot_at(i).parcel.load(std::memory_order_acquire); parcel != 0)
                visit(Arena::Ref::unpack(parcel));
    }

    std::uint32_t capacity() const noexcept { return static_cast<std::uint32_t>(mask_ + 1); }
    std::atomic<std::uint64_t> next;      // the ring that follows: a Ref
    std::atomic<std::uint64_t> previous;  // the one that it follows, until that is let go of by the queue
    // The index + 1 of the process that is about to make it the next of `previous`; 0 once it is that, and has said so, or
    // somebody has gone on to it.
    std::atomic<std::uint32_t> linker;

private:
    // In the word: lap (24 bits), state (8), owner (32).
    enum State : std::uint8_t { free_slot, writing, ready, taken, skipped, closed };
    static std::uint64_t pack(std::uint64_t lap, State state, std::uint32_t owner = 0) noexcept {
        return (lap & 0xffffff) << 40 | std::uint64_t{state} << 32 | owner;
    }
    static State state_of(std::uint64_t word) noexcept { return static_cast<State>(word >> 32 & 0xff); }
    static std::uint32_t lap_of(std::uint64_t word) noexcept { return static_cast<std::uint32_t>(word >> 40); }
    static bool is_dead(std::uint64_t word) noexcept {
        return !Runtime::get().is_alive(Runtime::ProcessRef::unpack_short(static_cast<std::uint32_t>(word)));
    }

    std::uint64_t lap(std::uint64_t position) const noexcept { return position >> shift_; }
    // How far a slot's word is behind what it will be when `position` is used: 1, while it is still in use for the lap
    // before; 0; or "many", once it was used for that position, which is a hint of before then.
    std::uint64_t laps_behind(std::uint64_t position, std::uint64_t word) const noexcept {
        return (lap(position) - lap_of(word)) & 0xffffff;
    }
    // Whether the item that was put at `position` was taken; by the word of its slot.
    bool is_taken(std::uint64_t position, std::uint64_t word) const noexcept {
        const std::uint64_t behind = laps_behind(position, word);
        return (behind == 0 && state_of(word) == taken) || behind > 1;
    }
    QueueSlot& slot_at(std::uint64_t position) const noexcept {
        return *reinterpret_cast<QueueSlot*>(slots() + (position & mask_) * stride_);
    }
    std::byte* slots() const noexcept {
        return reinterpret_cast<std::byte*>(const_cast<QueueRing*>(this)) + sizeof(QueueRing);
    }
    Claim take_or_look(std::uint32_t self, bool takes) noexcept;
    bool is_full_at(std::uint64_t position) noexcept;
    // After one's own step: most often nobody has helped, and that is cheaper than an exchange. If somebody does between
    // the two, the hint goes back, and everybody helps it along again.
    static void advance(std::atomic<std::uint64_t>& place, std::uint64_t from) noexcept {
        if (place.load(std::memory_order_relaxed) == from) place.store(from + 1, std::memory_order_release);
    }
    static void help(std::atomic<std::uint64_t>& place, std::uint64_t from) noexcept {
        place.compare_exchange_strong(from, from + 1, std::memory_order_acq_rel, std::memory_order_relaxed);
        die_here(DeathPoint::hint_helped);
    }

    std::uint64_t mask_;
    std::uint32_t shift_;
    std::uint32_t limit_;
    std::uint32_t stride_;
    alignas(64) std::atomic<std::uint64_t> tail_;
    std::atomic<std::uint64_t> known_head_;  // a while ago: so that producers need not ask for the consumers' line
    alignas(64) std::atomic<std::uint64_t> head_;
    [[maybe_unused]] std::byte padding_[56];
};

template <class Abandon>
bool QueueRing::clear_away(const Claim& claim, Abandon abandon) {
    const State state = state_of(claim.seen);
    if ((state != writing && state != taken) || claim.slot == nullptr || !is_dead(claim.seen)) return false;
    // First this process's, so that nobody else clears it away, too; should this one die, the next does.
    const std::uint64_t mine = pack(lap_of(claim.seen), state, self());
    std::uint64_t expected = claim.seen;
    if (!claim.slot->word.compare_exchange_strong(expected, mine, std::memory_order_acq_rel)) return true;
    die_here(DeathPoint::dead_slot_taken);
    abandon(*claim.slot);
    die_here(DeathPoint::dead_slot_abandoned);
    claim.slot->parcel.store(0, std::memory_order_relaxed);
    const bool is_written = state == writing;
    const std::uint64_t after = is_written ? pack(lap_of(mine), skipped) : pack(lap_of(mine) + 1u, free_slot);
    claim.slot->word.store(after, std::memory_order_seq_cst);
    die_here(DeathPoint::dead_slot_cleared);
    return true;
}

}  // namespace multiproc
