// The threads, of any process, that wait for one thing in shared memory.
//
// A thread that waits has a slot of the runtime: there it says which set it waits in, and in the set it marks the slot's
// bit. Whoever wakes it takes that word back by one exchange, and so does the waiter when its time is over: exactly one
// of them gets it, so a waiter knows whether it was woken, and a wake-up is never spent on one that has given up. What a
// dead waiter left is a bit without a word, or the word of nobody alive.
//
// A thread can also wait in several sets at once (`wait_for_any`). It says so in its slot instead of the name of a set,
// and marks its bit in each. Such a thread only looks and takes nothing, so a wake-up is not spent on it: it is woken
// besides.
//
// A wake-up can still be lost with the process that was about to make it. So nobody sleeps longer than `longest_wait`
// without looking at the state again.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <span>

#include "interrupt.hpp"
#include "os.hpp"

namespace multiproc {

// Of a slot, in the runtime's segment.
struct WaitSlot {
    std::atomic<std::uint64_t> waits_in;  // the place of a set in the arena, or `several_sets`; 0: it does not wait
    std::atomic<std::uint32_t> word;      // what the thread parks on: 1 when it was woken
    std::atomic<std::uint32_t> unused;
};

class WaitSet {
public:
    static constexpr auto longest_wait = std::chrono::milliseconds(50);

    // Waits while `still_waits()`: until woken, until it is time to look again, or until the deadline. Returns whether
    // somebody has woken this thread. Whoever changes the state does so before it calls `wake`. Throws StartError if too
    // many threads of the program wait.
    template <class StillWaits>
    bool wait(os::Deadline deadline, StillWaits still_waits) {
        const std::uint32_t slot = enter();
        try {
            if (still_waits()) park(slot, deadline);
        } catch (...) {
            leave(slot);
            throw;
        }
        return leave(slot);
    }

    // The same in several sets at once: until woken by way of any of them.
    template <class StillWaits>
    static void wait_for_any(std::span<WaitSet* const> sets, os::Deadline deadline, StillWaits still_waits) {
        const std::uint32_t slot = enter_all(sets);
        try {
            if (still_waits()) park(slot, deadline);
        } catch (...) {
            leave_all(sets, slot);
            throw;
        }
        leave_all(sets, slot);
    }

    // Marks this thread as waiting, then calls `release`, then waits until woken: whoever wakes somebody after `release`
    // finds this thread. False at the deadline; then nobody has woken it.
    template <class Release>
    bool wait_until_woken(os::Deadline deadline, Release release) {
        const std::uint32_t slot = enter();
        release();
        for (;;) {
            park(slot, deadline);
            if (is_woken(slot) || is_over(deadline)) break;
            mark(slot);  // whoever was about to wake it may have died with that
        }
        return leave(slot);
    }

    // Wakes so many threads, if there are as many. `only_living`: none whose process has died.
    void wake(std::uint32_t count, bool only_living = false) noexcept {
        // The state was changed before by a sequentially consistent operation, and `enter` counts before it is looked at.
        if (has_waiters()) wake_some(count, only_living);
    }
    void wake_all() noexcept { wake(UINT32_MAX); }

    // Wakes one thread, unless one that was woken has yet to look: who waits in this set hands the wake-up on, as long as
    // there is more. Or else all would be woken at the first item, and find nothing.
    void wake_next() noexcept {
        if (has_waiters() && underway_.load(std::memory_order_seq_cst) == 0) wake_one_at_a_time();
    }
    // By who has waited, before it looks again.
    void looks() noexcept { underway_.store(0, std::memory_order_seq_cst); }

    // None that somebody is waking already.
    bool has_waiters() const noexcept { return marked_.load(std::memory_order_seq_cst) != 0; }

private:
    static constexpr std::size_t slot_count = os::ParkingLot::slot_count;

    std::uint32_t enter();
    static std::uint32_t enter_all(std::span<WaitSet* const> sets);
    static void park(std::uint32_t slot, os::Deadline deadline) noexcept;
    bool leave(std::uint32_t slot) noexcept;
    static void leave_all(std::span<WaitSet* const> sets, std::uint32_t slot) noexcept;
    static bool is_woken(std::uint32_t slot) noexcept;
    void mark(std::uint32_t slot) noexcept;
    void unmark(std::uint32_t slot) noexcept;
    std::uint32_t wake_some(std::uint32_t count, bool only_living) noexcept;
    void wake_one_at_a_time() noexcept;
    std::uint64_t name() const noexcept;

    std::atomic<std::uint32_t> marked_;    // bits; more than there are, if somebody has died
    std::atomic<std::uint32_t> last_;      // slot that was woken: those behind it come first
    std::atomic<std::uint32_t> underway_;  // 1: who was woken by `wake_next` has yet to look
    std::atomic<std::uint32_t> unused_;
    std::atomic<std::uint64_t> bits_[slot_count / 64];
};

}  // namespace multiproc
