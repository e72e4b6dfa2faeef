#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "descriptors.hpp"

namespace multiproc::os {

namespace {

std::atomic<OnInterrupt> on_interrupt_of_process{nullptr};
static_assert(std::atomic<OnInterrupt>::is_always_lock_free);
struct sigaction before_ours {};

void handle(int number) {
    const int error = errno;
    if (!on_interrupt_of_process.load()()) {
        struct sigaction ending {};
        ending.sa_handler = SIG_DFL;
        ::sigaction(number, &ending, nullptr);
        ::raise(number);  // blocked while this runs, so it ends the process on return
    }
    errno = error;
}

}  // namespace

void catch_interrupts(OnInterrupt on_interrupt) {
    on_interrupt_of_process.store(on_interrupt);
    struct sigaction ours {};
    ours.sa_handler = handle;
    ours.sa_flags = SA_RESTART;  // the program's own reading and writing knows nothing of it
    if (::sigaction(SIGINT, nullptr, &before_ours) != 0) posix::fail("the handling of SIGINT cannot be looked at");
    if (before_ours.sa_handler == SIG_IGN) return;
    if (::sigaction(SIGINT, &ours, nullptr) != 0) posix::fail("SIGINT cannot be caught");
}

void release_interrupts() noexcept {
    struct sigaction now {};
    if (::sigaction(SIGINT, nullptr, &now) == 0 && now.sa_handler == handle) ::sigaction(SIGINT, &before_ours, nullptr);
}

void ignore_interrupts() noexcept { ::signal(SIGINT, SIG_IGN); }

void interrupt_this_process() noexcept { ::kill(::getpid(), SIGINT); }

}  // namespace multiproc::os
