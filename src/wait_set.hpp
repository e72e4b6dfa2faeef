// The threads, of any process, that wait for one thing in shared memory.
//
// A thread that waits has a slot of the runtime: there it says which set it waits in, and in the set it marks the slot's
// bit. Whoever wakes it takes that word back by one exchange, and so does the waiter when its time is over: exactly one
// of them gets it, so a waiter knows whether it was woken, and a wake-up is never spent on one that has given up. What a
// dead waiter left is a bit without a word, or the word of nobody alive.
//
// A wake-up can still be lost with the process that was about to make it. So nobody sleeps longer than `longest_wait`
// without looking at the state again.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "os.hpp"

namespace multiproc {

// Of a slot, in the runtime's segment.
struct WaitSlot {
    std::atomic<std::uint64_t> waits_in;  // the place of a set in the arena; 0: it does not wait
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
        if (still_waits()) park(slot, deadline);
        return leave(slot);
    }

    // Marks this thread as waiting, then calls `release`, then waits until woken: whoever wakes somebody after `release`
    // finds this thread. False at the deadline; then nobody has woken it.
    template <class Release>
    bool wait_until_woken(os::Deadline deadline, Release release) {
        const std::uint32_t slot = enter();
        release();
        do { park(slot, deadline); } while (!is_woken(slot) && deadline > os::Clock::now());
        return leave(slot);
    }

    // Wakes so many threads, if there are as many. `only_living`: none whose process has died.
    void wake(std::uint32_t count, bool only_living = false) noexcept {
        // The state was changed before by a sequentially consistent operation, and `enter` counts before it is looked at.
        if (has_waiters()) wake_some(count, only_living);
    }
    void wake_all() noexcept { wake(UINT32_MAX); }
    bool has_waiters() const noexcept { return waiting_.load(std::memory_order_seq_cst) != 0; }

private:
    static constexpr std::size_t slot_count = os::ParkingLot::slot_count;

    std::uint32_t enter();
    void park(std::uint32_t slot, os::Deadline deadline) noexcept;
    bool leave(std::uint32_t slot) noexcept;
    bool is_woken(std::uint32_t slot) const noexcept;
    void wake_some(std::uint32_t count, bool only_living) noexcept;
    std::uint64_t name() const noexcept;

    std::atomic<std::uint32_t> waiting_;  // threads; more than there are, if some have died
    std::atomic<std::uint32_t> last_;     // slot that was woken: those behind it come first
    std::atomic<std::uint64_t> bits_[slot_count / 64];
};

}  // namespace multiproc
