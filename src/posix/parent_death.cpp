// No child outlives its parent.
//
// A fork server's child is on its parent's leash, where the system has that: see leash.hpp. Each other one has a thread
// that sleeps until the parent's end. PR_SET_PDEATHSIG, which looks made for this, is not used
// at all: it tells the end of the *thread* that made the process, so a child started from a short-lived thread would be
// killed while its program goes on; and a fork server's child would be bound to the server, whose end must not touch
// it.
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <csignal>
#include <memory>

#include "leash.hpp"
#include "platform.hpp"
#include "process_end.hpp"

#if defined(__APPLE__)
#include <sys/event.h>
#endif

namespace multiproc::os::posix {

namespace {

enum class Progress { none, starting, watching };
std::atomic<Progress> progress{Progress::none};

struct ParentWatch {
    Handle end;
    pid_t pid = 0;
    std::uint64_t start = 0;
    bool exact = false;  // the handle is ready at the parent's end and never before or after
};

[[noreturn]] void die_with_parent() noexcept {
    // The end that cannot be caught, delayed by a destructor, or blocked by a held lock.
    ::kill(::getpid(), SIGKILL);
    ::_exit(128 + SIGKILL);
}

bool is_ready(int fd, int milliseconds) noexcept {
    pollfd entry{fd, POLLIN, 0};
    return retry([&] { return ::poll(&entry, 1, milliseconds); }) == 1;
}

// The pipe alone does not tell: a copy of the parent that the host forked may hold it open, and the parent itself may have
// closed all its descriptors. It says when to look.
void look_by_the_clock(const ParentWatch& parent) noexcept {
    constexpr int longest = 500;
    int pause = 1;  // a process that ends is there for a moment after its pipe is closed
    while (is_running(static_cast<std::uint32_t>(parent.pid), parent.start)) {
        if (!is_ready(fd_of(parent.end), longest)) continue;
        ::poll(nullptr, 0, pause);
        pause = std::min(2 * pause, longest);
    }
}

#if defined(__APPLE__)

void await_end(const ParentWatch& parent) noexcept {
    // The process's own event, since a copy of the parent that the host forked may hold the pipe open; and the pipe,
    // since the pid may belong to another process by now if the parent ended before this thread began.
    const int queue = ::kqueue();
    struct kevent changes[2];
    EV_SET(&changes[0], static_cast<uintptr_t>(parent.pid), EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, nullptr);
    EV_SET(&changes[1], static_cast<uintptr_t>(fd_of(parent.end)), EVFILT_READ, EV_ADD, 0, 0, nullptr);
    struct kevent event;
    int count = -1;
    if (queue >= 0) {
        do { count = ::kevent(queue, changes, 2, &event, 1, nullptr); } while (count < 0 && errno == EINTR);
    }
    // Registering for a process that is gone is reported as an event with ESRCH: an end as well. Any other error is about
    // the registration.
    if (count == 1 && event.filter == EVFILT_PROC && ((event.flags & EV_ERROR) == 0 || event.data == ESRCH)) return;
    look_by_the_clock(parent);
}

#else

void await_end(const ParentWatch& parent) noexcept {
    if (parent.exact) {
        while (!is_ready(fd_of(parent.end), -1)) {}
    } else {
        look_by_the_clock(parent);
    }
}

#endif

void* run(void* argument) noexcept {
    const std::unique_ptr<ParentWatch> parent(static_cast<ParentWatch*>(argument));
    progress = Progress::watching;
    progress.notify_all();
    await_end(*parent);
    die_with_parent();
}

int start_thread(ParentWatch* parent, std::size_t stack) noexcept {
    pthread_attr_t attributes;
    ::pthread_attr_init(&attributes);
    ::pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (stack != 0) {
        ::pthread_attr_setstacksize(&attributes, stack);
        ::pthread_attr_setguardsize(&attributes, 0);  // it calls nothing that could need much
    }
    pthread_t thread;
    const int error = ::pthread_create(&thread, &attributes, run, parent);
    ::pthread_attr_destroy(&attributes);
    return error;
}

}  // namespace

void watch_parent(Handle parent, pid_t parent_pid) {
    auto watch = std::make_unique<ParentWatch>();
    watch->end = std::move(parent);
    watch->pid = parent_pid;
    watch->exact = has_pidfds();
    if (!watch->exact) watch->start = start_time(static_cast<std::uint32_t>(parent_pid));
    // It may have ended before this call. The handle knows; whether this process's parent is pid 1 says nothing, since
    // in a container that may be the right parent, and elsewhere orphans may go to another process.
    if (is_ready(fd_of(watch->end), 0)) die_with_parent();
    if (is_leashed()) return;
    const SignalBlock block;  // the program's signals are for the program's threads
    progress = Progress::starting;
    std::size_t stack = 256 * 1024;
#if defined(PTHREAD_STACK_MIN)
    stack = std::max(stack, static_cast<std::size_t>(PTHREAD_STACK_MIN));
#endif
    int error = start_thread(watch.get(), stack);
    // Big thread-local variables of the program count against a thread's stack.
    if (error == EINVAL) error = start_thread(watch.get(), 0);
    if (error != 0) progress = Progress::none;
    if (error != 0) fail("starting the thread that watches the parent", error);
    watch.release();
}

void await_parent_watch() noexcept { progress.wait(Progress::starting); }

}  // namespace multiproc::os::posix
