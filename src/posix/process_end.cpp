// The ends of single processes: pidfds, statuses, and signals that reach the right process.
#include "process_end.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <optional>

#include "exit_watch.hpp"
#include "platform.hpp"

#if defined(__linux__)
#include <sys/syscall.h>
#endif

namespace multiproc::os::posix {

namespace {

#if MULTIPROC_LINUX_CALLS
constexpr auto by_pidfd = static_cast<idtype_t>(3);  // P_PIDFD, which older headers lack; never another one's status

enum class Support { unknown, none, full };

Support look_for_pidfds() {
    const long fd = ::syscall(SYS_pidfd_open, ::getpid(), 0);
    // What a lack of room or a limit says today need not hold tomorrow.
    if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) fail("pidfd_open");
    if (fd < 0) return Support::none;
    siginfo_t info{};
    // P_PIDFD came one version later. ECHILD says that it is known: this process is no child of itself.
    const bool waits = ::waitid(by_pidfd, static_cast<id_t>(fd), &info, WEXITED | WNOHANG) == 0 || errno == ECHILD;
    ::close(static_cast<int>(fd));
    return waits ? Support::full : Support::none;
}
#endif

}  // namespace

bool has_pidfds() {
#if MULTIPROC_LINUX_CALLS
    static std::atomic<Support> known{Support::unknown};
    Support support = known.load(std::memory_order_relaxed);
    if (support == Support::unknown) {
        support = look_for_pidfds();
        known.store(support, std::memory_order_relaxed);
    }
    return support == Support::full;
#else
    return false;
#endif
}

Handle open_pidfd([[maybe_unused]] pid_t pid) {
#if MULTIPROC_LINUX_CALLS
    DescriptorLock lock;
    const long fd = ::syscall(SYS_pidfd_open, pid, 0);  // always closed on exec
    if (fd < 0 && errno == ESRCH) return Handle();
    return lock.own(static_cast<int>(fd), "pidfd_open");
#else
    return Handle();
#endif
}

bool signal_pidfd([[maybe_unused]] int pidfd, [[maybe_unused]] int number) noexcept {
#if MULTIPROC_LINUX_CALLS
    return ::syscall(SYS_pidfd_send_signal, pidfd, number, nullptr, 0) == 0 || errno != EBADF;
#else
    return false;
#endif
}

SignalBlock::SignalBlock() noexcept {
    static_assert(sizeof(sigset_t) <= sizeof before_);
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    std::memcpy(before_, &before, sizeof before);
}

SignalBlock::~SignalBlock() {
    if (keep_) return;
    sigset_t before;
    std::memcpy(&before, before_, sizeof before);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

ExitStatus status_of(const siginfo_t& info) noexcept {
    const auto number = static_cast<std::uint32_t>(info.si_status);
    // macOS reports all that was given to _exit; the rest of the world its last eight bits.
    return info.si_code == CLD_EXITED ? ExitStatus::exited(number & 0xff) : ExitStatus::signalled(number);
}

bool Watched::seems_running() const noexcept { return is_running(static_cast<std::uint32_t>(pid), start); }

void Watched::lose_end() noexcept {
    exact = false;
    end_lost = true;
    if (start == 0) start = start_time(static_cast<std::uint32_t>(pid));
}

void Watched::orphan_it() noexcept {
    server.reset();
    orphan = true;
    // Nobody keeps its pid from another process any more, should it end and `end` be closed by the program.
    if (start == 0) start = start_time(static_cast<std::uint32_t>(pid));
}

void Watched::signal(int number) noexcept {
    std::unique_lock lock(mutex);
    if (ended) return;
    if (exact) {
        if (signal_pidfd(fd_of(end), number)) return;
        lose_end();
    }
    if (const auto forker = server) {
        if (asked != SIGKILL) asked = number;
        lock.unlock();
        if (forker->signal(pid, number)) return;
        lock.lock();
    }
    // The program may have reaped it, or somebody whom we do not know; together with the start time the pid is as good
    // as a name.
    if (!ended && seems_running()) ::kill(pid, number);
}

namespace {

// Asks about one child of this process and takes its status, if it is `pid` that was meant. Null if there is none.
std::optional<siginfo_t> wait_for(idtype_t kind, id_t id, pid_t pid) noexcept {
    siginfo_t info{};
    const auto ask = [&](int options) {
        return retry([&] { return ::waitid(kind, id, &info, WEXITED | WNOHANG | options); });
    };
    // A pidfd that the program closed may have been followed by that of another child: whose status it is comes first.
    if (kind != P_PID) {
        if (ask(WNOWAIT) != 0) return std::nullopt;
        if (info.si_pid == 0) return info;
        errno = EBADF;
        if (info.si_pid != pid) return std::nullopt;
        info = {};
    }
    if (ask(0) != 0) return std::nullopt;
    return info;
}

}  // namespace

std::optional<ExitStatus> try_reap(Watched& child, bool end_seen) {
    const std::lock_guard lock(child.mutex);
    std::optional<siginfo_t> info;
#if MULTIPROC_LINUX_CALLS
    if (child.exact) {
        info = wait_for(by_pidfd, static_cast<id_t>(child.end.raw()), child.pid);
        if (!info && errno != ECHILD) child.lose_end();
    }
#endif
    if (!info && !(child.exact && child.orphan)) {
        info = wait_for(P_PID, static_cast<id_t>(child.pid), child.pid);
        if (info && child.exact) child.lose_end();  // it led to a process that is gone, and to another than the child
    }
    std::optional<ExitStatus> status;
    if (info && info->si_pid != 0) {
        status = status_of(*info);
    } else if (!info && (!child.orphan || (end_seen && !child.end_lost) || !child.seems_running())) {
        // No child of ours (any more): the program reaped it, or ignores SIGCHLD, or its server forked it and is gone.
        // The latter goes on running, if its handle does not say otherwise.
        status = ExitStatus::unknown();
    }
    if (status) child.ended = true;
    return status;
}

}  // namespace multiproc::os::posix
