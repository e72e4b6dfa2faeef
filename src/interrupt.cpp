#include "interrupt.hpp"

#include <atomic>

#include "per_process.hpp"

namespace multiproc {

thread_local ThreadInterrupts this_thread_interrupts{};

namespace {

// Written by a signal handler, so nothing but these two numbers.
std::atomic<std::uint64_t> happened{0};
std::atomic<std::uint64_t> settled{0};  // so many of them are dealt with
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

// False: the one before is being dealt with, so whoever waits for that has had enough.
bool note_interrupt() noexcept {
    const std::uint64_t count = happened.load();
    if (count != settled.load()) return false;
    happened.store(count + 1);
    return true;
}

void settle() noexcept {
    this_thread_interrupts.seen = happened.load();
    settled.store(this_thread_interrupts.seen);
}

// A copy of the process, made by fork, begins anew, though its one thread may be in a scope.
struct Scopes {
    std::mutex mutex;
    std::uint32_t threads = 0;
};

}  // namespace

InterruptScope::InterruptScope() {
    if (this_thread_interrupts.scopes == 0) {
        Scopes& scopes = of_this_process<Scopes>();
        const std::lock_guard lock(scopes.mutex);
        if (scopes.threads == 0) {
            settled.store(happened.load());
            os::catch_interrupts(note_interrupt);
        }
        ++scopes.threads;
        this_thread_interrupts.seen = happened.load();
    }
    ++this_thread_interrupts.scopes;
}

InterruptScope::~InterruptScope() {
    if (--this_thread_interrupts.scopes != 0) return;
    bool is_lost = false;
    {
        Scopes& scopes = of_this_process<Scopes>();
        const std::lock_guard lock(scopes.mutex);
        const bool is_last = scopes.threads <= 1;
        if (scopes.threads != 0) --scopes.threads;
        if (is_last) os::release_interrupts();
        // Another thread's scope may have thrown it, or be about to.
        is_lost = is_last && this_thread_interrupts.seen != happened.load();
        settle();
    }
    if (is_lost) os::interrupt_this_process();
}

bool InterruptScope::is_active() noexcept { return this_thread_interrupts.scopes != 0; }
bool InterruptScope::is_pending() noexcept {
    const ThreadInterrupts& mine = this_thread_interrupts;
    return mine.scopes != 0 && mine.holds == 0 && mine.seen != happened.load(std::memory_order_relaxed);
}

void InterruptScope::check() {
    if (!is_pending()) return;
    this_thread_interrupts.seen = happened.load();
    throw Interrupted("multiproc: interrupted by Ctrl+C");
}

void InterruptScope::rearm() noexcept { settle(); }

InterruptHold::InterruptHold() noexcept { ++this_thread_interrupts.holds; }
InterruptHold::~InterruptHold() { --this_thread_interrupts.holds; }

void forget_interrupt_scopes() noexcept { this_thread_interrupts = {}; }

}  // namespace multiproc
