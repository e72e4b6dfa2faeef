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
#include <chrono>
#include <climits>
#include <condition_variable>
#include <csignal>
#include <memory>
#include <mutex>
#include <utility>

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

[[noreturn]] void watch(const ParentWatch& parent) noexcept {
    progress = Progress::watching;
    progress.notify_all();
    await_end(parent);
    die_with_parent();
}

void* run(void* argument) noexcept {
    const std::unique_ptr<ParentWatch> parent(static_cast<ParentWatch*>(argument));
    watch(*parent);
}

int try_thread(pthread_t& thread, void* (*what)(void*), void* argument, std::size_t stack) noexcept {
    pthread_attr_t attributes;
    ::pthread_attr_init(&attributes);
    if (stack != 0) {
        ::pthread_attr_setstacksize(&attributes, stack);
        ::pthread_attr_setguardsize(&attributes, 0);  // it calls nothing that could need much
    }
    const int error = ::pthread_create(&thread, &attributes, what, argument);
    ::pthread_attr_destroy(&attributes);
    return error;
}

// Returns the error number.
int start_thread(pthread_t& thread, void* (*what)(void*), void* argument) noexcept {
    const SignalBlock block;  // the program's signals are for the program's threads
    std::size_t stack = 256 * 1024;
#if defined(PTHREAD_STACK_MIN)
    stack = std::max(stack, static_cast<std::size_t>(PTHREAD_STACK_MIN));
#endif
    int error = try_thread(thread, what, argument, stack);
    // Big thread-local variables of the program count against a thread's stack.
    if (error == EINVAL) error = try_thread(thread, what, argument, 0);
    return error;
}

// The thread that stands guard from static initialisation until this process arrives. Then it watches the parent, as a
// thread costs much of what a start costs; a fork server, which needs no such thread, sends it away.
struct Guard {
    enum class Order { wait, rest, watch, leave };

    std::mutex mutex;
    std::condition_variable changed;
    Order order = Order::wait;
    std::chrono::seconds limit{};
    void (*late)() noexcept = nullptr;
    std::unique_ptr<ParentWatch> parent;
    pthread_t thread{};

    void give(Order next) noexcept {
        const std::lock_guard lock(mutex);
        order = next;
        changed.notify_all();
    }
};
Guard* guard = nullptr;  // until it has its last order; only the first thread of the process looks at it

void* stand_guard(void* argument) noexcept {
    auto* const self = static_cast<Guard*>(argument);
    {
        std::unique_lock lock(self->mutex);
        if (!self->changed.wait_for(lock, self->limit, [self] { return self->order != Guard::Order::wait; }))
            self->late();
        self->changed.wait(lock, [self] { return self->order > Guard::Order::rest; });
    }
    if (self->order == Guard::Order::watch) watch(*self->parent);
    return nullptr;
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
    progress = Progress::starting;
    if (Guard* const standing = std::exchange(guard, nullptr)) {
        standing->parent = std::move(watch);
        standing->give(Guard::Order::watch);
        return;
    }
    pthread_t thread;
    const int error = start_thread(thread, run, watch.get());
    if (error != 0) {
        progress = Progress::none;
        fail("starting the thread that watches the parent", error);
    }
    ::pthread_detach(thread);
    watch.release();
}

void dismiss_guard() noexcept {
    Guard* const standing = std::exchange(guard, nullptr);
    if (standing == nullptr) return;
    standing->give(Guard::Order::leave);
    ::pthread_join(standing->thread, nullptr);
    delete standing;
}

void await_parent_watch() noexcept { progress.wait(Progress::starting); }

}  // namespace multiproc::os::posix

namespace multiproc::os {

void begin_arrival_watch(std::chrono::seconds limit, void (*late)() noexcept) {
    auto fresh = std::make_unique<posix::Guard>();
    fresh->limit = limit;
    fresh->late = late;
    const int error = posix::start_thread(fresh->thread, posix::stand_guard, fresh.get());
    if (error != 0) posix::fail("starting the thread that stands guard", error);
    posix::guard = fresh.release();
}

void end_arrival_watch() noexcept {
    if (posix::guard == nullptr) return;
    // It is not woken: it finds the order when its time is up, or when it gets the next one.
    const std::lock_guard lock(posix::guard->mutex);
    posix::guard->order = posix::Guard::Order::rest;
}

}  // namespace multiproc::os
