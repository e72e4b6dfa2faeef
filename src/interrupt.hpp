// Ctrl+C in the waits of a thread that has an InterruptScope.
//
// A wait that can be interrupted ends as at its deadline (`is_over`), so that it leaves everything in order, and the call
// that has waited then throws (`throw_if_interrupted`) instead of saying that its time is over. Nothing wakes a thread
// for it: while it has a scope it sleeps for 50 ms at most (`next_look`), as all waits in shared memory do anyhow. So no
// signal handler has to know who waits for what.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include <multiproc/interrupt.hpp>

#include "os.hpp"

namespace multiproc {

struct ThreadInterrupts {
    std::uint32_t scopes;
    std::uint32_t holds;
    std::uint64_t seen;  // so many Ctrl+C were there, at the last that this thread has dealt with
};
// Without a constructor, so that it costs a look and no more.
extern thread_local ThreadInterrupts this_thread_interrupts;

// Whether this thread's wait is to end.
inline bool is_interrupted() noexcept { return this_thread_interrupts.scopes != 0 && InterruptScope::is_pending(); }
inline bool is_over(os::Deadline deadline) noexcept { return deadline <= os::Clock::now() || is_interrupted(); }
inline void throw_if_interrupted() {
    if (is_interrupted()) InterruptScope::check();
}

// Until when a wait of this thread may sleep before it looks whether it `is_over`.
inline os::Deadline next_look(os::Deadline deadline) noexcept {
    if (this_thread_interrupts.scopes == 0) return deadline;
    return std::min<os::Deadline>(deadline, os::Clock::now() + std::chrono::milliseconds(50));
}

// Waits until `done()`. False at the deadline. Throws Interrupted.
template <class Done>
bool wait_interruptibly(std::condition_variable& changed, std::unique_lock<std::mutex>& lock, os::Deadline deadline,
                        Done done) {
    while (!done()) {
        throw_if_interrupted();
        const os::Deadline end = next_look(deadline);
        if (end == os::never) {
            changed.wait(lock);
        } else if (changed.wait_until(lock, end) == std::cv_status::timeout && deadline <= os::Clock::now()) {
            return done();
        }
    }
    return true;
}

// In a child that plain fork has made, the scopes of the thread that has started it are not there.
void forget_interrupt_scopes() noexcept;

}  // namespace multiproc
