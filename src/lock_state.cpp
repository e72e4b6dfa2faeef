#include "lock_state.hpp"

#include <algorithm>
#include <stdexcept>
#include <system_error>

#include "die_here.hpp"
#include "interrupt.hpp"

namespace multiproc {
namespace {

// As long as another processor takes to go through some short critical sections. Then the wait is worth a system call.
// Each look takes the lock's cache line away from its owner, who may be about to lock it again: so the looks come at ever
// longer intervals. (At each pause, they would make a million increments by two processes take three times as long.)
constexpr int first_pause = 4, longest_pause = 128;

}  // namespace

bool LockState::lock_slowly(std::uint64_t self, os::Deadline deadline, bool is_recursive) {
    if (is_mine() && is_recursive) {
        ++depth_;
        die_here(DeathPoint::lock_depth_raised);
        return true;
    }
    if (is_mine() && deadline == os::never) {
        throw std::system_error(
            std::make_error_code(std::errc::resource_deadlock_would_occur),
            "multiproc: this thread holds the Lock already and would wait for itself; use an RLock");
    }
    const bool may_wait = deadline > os::Clock::now();
    for (int pause = first_pause; pause <= longest_pause && may_wait; pause *= 2) {
        for (int i = 0; i < pause; ++i) os::relax_cpu();
        if (owner_.load(std::memory_order_relaxed) == ThreadId::none && take(ThreadId::none, self)) return true;
    }
    const std::uint64_t contended = self | ThreadId::flag;
    for (;;) {
        std::uint64_t seen = owner_.load(std::memory_order_acquire);
        if (seen == ThreadId::none) {
            if (take(ThreadId::none, contended)) return true;
            continue;
        }
        const bool is_over = !may_wait || multiproc::is_over(deadline);
        if (is_over && take_from_dead(seen, contended)) return true;
        // Also who gives up says that others wait: the wake-up meant for them may have been spent on this thread.
        const bool tells = !is_over || waiters_.has_waiters();
        if (tells && (seen & ThreadId::flag) == 0 && !take(seen, seen | ThreadId::flag)) continue;
        if (is_over) {
            if (may_wait) throw_if_interrupted();
            return false;
        }
        seen |= ThreadId::flag;
        const bool was_woken = waiters_.wait(deadline, [&] { return owner_.load(std::memory_order_seq_cst) == seen; });
        if (!was_woken && take_from_dead(seen, contended)) return true;
    }
}

// The owner's process has died with the lock: this thread is the owner now, if it is the first to take it.
bool LockState::take_from_dead(std::uint64_t seen, std::uint64_t self) noexcept {
    if (owner_.load(std::memory_order_relaxed) != seen || ThreadId::is_alive(seen & ~ThreadId::flag)) return false;
    if (!take(seen, self)) return false;
    die_here(DeathPoint::lock_inherited);
    depth_ = 0;
    owner_died_.store(1, std::memory_order_release);
    die_here(DeathPoint::lock_death_noted);
    return true;
}

std::uint32_t LockState::unlock_wholly() {
    const std::uint32_t depth = depth_;
    depth_ = 0;
    die_here(DeathPoint::lock_depth_dropped);
    unlock();
    return depth;
}

void LockState::lock_again(std::uint32_t depth) {
    const InterruptHold hold;
    lock(os::never, false);
    die_here(DeathPoint::lock_taken_again);
    depth_ = depth;
}

void LockState::make_consistent() {
    if (!is_mine()) throw_not_owner(owner_.load());
    owner_died_.store(0, std::memory_order_release);
    die_here(DeathPoint::lock_made_consistent);
}

void LockState::throw_not_owner(std::uint64_t seen) {
    throw std::logic_error(seen == ThreadId::none
                               ? "multiproc: unlock() of a lock that is not locked"
                               : "multiproc: unlock() of a lock that another thread or process holds");
}

}  // namespace multiproc
