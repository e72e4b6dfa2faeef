// What a lock is in shared memory: one word that names its owner, a thread of some process.
//
// The word changes hands by one exchange, so at every instant somebody owns the lock or nobody does. Who waits looks at
// least every 50 ms whether the owner's process lives; if it does not, the first to notice exchanges its word for its own.
#pragma once

#include <atomic>
#include <cstdint>

#include "die_here.hpp"
#include "os.hpp"
#include "thread_id.hpp"
#include "wait_set.hpp"

namespace multiproc {

class LockState {
public:
    // False at the deadline. A thread that owns it already would wait for itself: that is refused by std::system_error
    // with std::errc::resource_deadlock_would_occur, as std::mutex may do; unless the lock is recursive.
    bool lock(os::Deadline deadline, bool is_recursive) {
        const std::uint64_t self = ThreadId::current();
        return take(ThreadId::none, self) || lock_slowly(self, deadline, is_recursive);
    }
    // Throws std::logic_error if another thread, or none, owns it.
    void unlock() {
        const std::uint64_t seen = owner_.load(std::memory_order_relaxed);
        const std::uint64_t self = ThreadId::current();
        if ((seen & ~ThreadId::flag) != self) throw_not_owner(seen);
        if (depth_ != 0) {
            --depth_;
            return die_here(DeathPoint::lock_depth_lowered);
        }
        const bool has_waiters = (owner_.exchange(ThreadId::none, std::memory_order_seq_cst) & ThreadId::flag) != 0;
        die_here(DeathPoint::lock_released);
        if (has_waiters) waiters_.wake(1);
    }
    // By its owner, who holds it as often as it may: gives it up altogether, and returns how to take it again.
    std::uint32_t unlock_wholly();
    void lock_again(std::uint32_t depth);

    bool is_locked() const noexcept { return owner_.load(std::memory_order_acquire) != ThreadId::none; }
    bool is_mine() const { return (owner_.load(std::memory_order_relaxed) & ~ThreadId::flag) == ThreadId::current(); }

    // Whether an owner has died with it, until its owner says that what it guards is sound.
    bool has_owner_died() const noexcept { return owner_died_.load(std::memory_order_acquire) != 0; }
    void make_consistent();

private:
    bool take(std::uint64_t from, std::uint64_t self) noexcept {
        if (!owner_.compare_exchange_strong(from, self, std::memory_order_seq_cst)) return false;
        die_here(DeathPoint::lock_word_changed);
        return true;
    }
    bool lock_slowly(std::uint64_t self, os::Deadline deadline, bool is_recursive);
    bool take_from_dead(std::uint64_t seen, std::uint64_t self) noexcept;
    [[noreturn]] static void throw_not_owner(std::uint64_t seen);

    // A ThreadId, with the flag once somebody waits; who has waited takes it with the flag, as it does not know of others.
    std::atomic<std::uint64_t> owner_;
    std::uint32_t depth_;  // how often more its owner has taken it; the owner's
    std::atomic<std::uint32_t> owner_died_;
    WaitSet waiters_;
};

}  // namespace multiproc
