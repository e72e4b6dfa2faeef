#include "exit_watch.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <tuple>

#include "messages.hpp"
#include "platform.hpp"
#include "process_end.hpp"

#if defined(__linux__)
#include <sys/syscall.h>
#endif

namespace multiproc::os::posix {

namespace {

// Without pidfds a child's pipe may be held open by a process that the child started, so all are looked at now and
// then.
constexpr int slow_tick = 100;
// The pipe of a process closes a moment before its status is there.
constexpr int quick_tick = 1;

#if MULTIPROC_LINUX_CALLS
constexpr auto by_pidfd = static_cast<idtype_t>(3);  // P_PIDFD, which older headers lack; never another one's status
#endif

}  // namespace

bool has_pidfds() noexcept {
#if MULTIPROC_LINUX_CALLS
    static const bool available = [] {
        const long fd = ::syscall(SYS_pidfd_open, ::getpid(), 0);
        if (fd < 0) return false;
        siginfo_t info{};
        // P_PIDFD came one version later. ECHILD says that it is known: this process is no child of itself.
        const bool waits = ::waitid(by_pidfd, static_cast<id_t>(fd), &info, WEXITED | WNOHANG) == 0 || errno == ECHILD;
        ::close(static_cast<int>(fd));
        return waits;
    }();
    return available;
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

void signal_pidfd([[maybe_unused]] int pidfd, [[maybe_unused]] int number) noexcept {
#if MULTIPROC_LINUX_CALLS
    ::syscall(SYS_pidfd_send_signal, pidfd, number, nullptr, 0);
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
    return info.si_code == CLD_EXITED ? ExitStatus::exited(number) : ExitStatus::signalled(number);
}

void Watched::signal(int number) noexcept {
    if (exact) {
        signal_pidfd(fd_of(end), number);
        return;
    }
    std::unique_lock lock(mutex);
    if (ended) return;
    if (const auto forker = server) {
        if (asked != SIGKILL) asked = number;
        lock.unlock();
        if (forker->signal(pid, number)) return;
        lock.lock();
    } else if (!orphan) {
        ::kill(pid, number);  // not reaped, so the pid is still its own
        return;
    }
    // Nobody we know reaps it any more; together with the start time the pid is as good as a name.
    if (!ended && is_running(static_cast<std::uint32_t>(pid), start)) ::kill(pid, number);
}

ExitWatch::ExitWatch() {
    std::tie(wake_reader_, wake_writer_) = make_pipe();
    for (const int end : {fd_of(wake_reader_), fd_of(wake_writer_)}) ::fcntl(end, F_SETFL, O_NONBLOCK);
    const SignalBlock block;  // the program's signals are for the program's threads
    std::unique_lock lock(mutex_);
    thread_ = std::thread([this] { run(); });
    // Until it sleeps, so that a fork right after this call does not find it in the middle of its first allocations.
    began_.wait(lock, [this] { return is_running_; });
}

std::unique_lock<std::mutex> ExitWatch::pause() { return std::unique_lock(mutex_); }

ExitWatch::~ExitWatch() { stop(); }

void ExitWatch::stop() noexcept {
    {
        const std::lock_guard lock(mutex_);
        if (stop_) return;
        stop_ = true;
    }
    wake();
    thread_.join();
}

void ExitWatch::close_descriptors() noexcept {
    wake_reader_.reset();
    wake_writer_.reset();
}

void ExitWatch::wake() noexcept {
    const char byte = 0;
    // A full pipe has woken the thread already.
    (void)retry([&] { return ::write(fd_of(wake_writer_), &byte, 1); });
}

void ExitWatch::add(std::shared_ptr<Watched> child) {
    {
        const std::lock_guard lock(mutex_);
        // The thread calls on_exit, also for those that have ended by now: the caller may hold locks of its own.
        std::vector<Report>& reports = due_;
        for (std::size_t i = children_.size(); i-- != 0;) {
            // Two with one pid: somebody else reaped the older.
            if (children_[i]->pid == child->pid && !children_[i]->exact) finish(i, ExitStatus::unknown(), reports);
        }
        children_.push_back(child);
        for (Server& server : servers_) {
            const auto early = server.early.find(child->pid);
            if (server.connection != child->server || early == server.early.end()) continue;
            const ExitStatus status = early->second;
            server.early.erase(early);
            finish(children_.size() - 1, status, reports);
            break;
        }
        // The server may have ended since it forked this child.
        const bool served = std::any_of(servers_.begin(), servers_.end(),
                                        [&](const Server& server) { return server.connection == child->server; });
        if (child->server && !served) {
            const std::lock_guard child_lock(child->mutex);
            child->server.reset();
            child->orphan = true;
        }
    }
    wake();
}

void ExitWatch::add_server(std::shared_ptr<ServerConnection> server) {
    {
        const std::lock_guard lock(mutex_);
        servers_.push_back({std::move(server), {}, {}});
    }
    wake();
}

// Takes the child out of the list; the caller calls the report's function when it holds no lock.
void ExitWatch::finish(std::size_t index, ExitStatus status, std::vector<Report>& reports) {
    const std::shared_ptr<Watched> child = children_[index];
    children_[index] = children_.back();
    children_.pop_back();
    const std::lock_guard lock(child->mutex);
    child->ended = true;
    child->server.reset();
    reports.push_back({std::move(child->on_exit), status});
}

// Reads what a server told. False when it is gone.
bool ExitWatch::take_statuses(Server& server, std::vector<Report>& reports) {
    for (;;) {
        unsigned char bytes[64 * sizeof(StatusMessage)];
        const ssize_t count =
            retry([&] { return ::recv(server.connection->statuses(), bytes, sizeof bytes, MSG_DONTWAIT); });
        if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
        if (count <= 0) return false;
        server.partial.insert(server.partial.end(), bytes, bytes + count);
        std::size_t used = 0;
        for (; server.partial.size() - used >= sizeof(StatusMessage); used += sizeof(StatusMessage)) {
            StatusMessage message;
            std::memcpy(&message, server.partial.data() + used, sizeof message);
            ExitStatus status;
            if (message.kind == static_cast<int>(ExitStatus::Kind::exited)) status = ExitStatus::exited(message.number);
            if (message.kind == static_cast<int>(ExitStatus::Kind::signalled)) {
                status = ExitStatus::signalled(message.number);
            }
            const auto child = std::find_if(children_.begin(), children_.end(), [&](const auto& candidate) {
                return candidate->pid == message.pid && candidate->server == server.connection;
            });
            if (child == children_.end()) {
                server.early[message.pid] = status;
            } else {
                finish(static_cast<std::size_t>(child - children_.begin()), status, reports);
            }
        }
        server.partial.erase(server.partial.begin(), server.partial.begin() + static_cast<std::ptrdiff_t>(used));
    }
}

void ExitWatch::orphan_children_of(const ServerConnection* server) {
    for (const auto& child : children_) {
        const std::lock_guard lock(child->mutex);
        if (child->server.get() != server) continue;
        child->server.reset();
        child->orphan = true;
        // The server may have died with the request unread. One that was signalled already gets it again, which is
        // better than never.
        if (child->asked != 0 && is_running(static_cast<std::uint32_t>(child->pid), child->start))
            ::kill(child->pid, child->asked);
    }
}

// The status of a child that nobody else reaps; nothing while it runs. `end_seen`: its handle says that it has ended.
std::optional<ExitStatus> ExitWatch::try_reap(Watched& child, bool end_seen) {
    const std::lock_guard lock(child.mutex);
    siginfo_t info{};
#if MULTIPROC_LINUX_CALLS
    const idtype_t kind = child.exact ? by_pidfd : P_PID;
    const id_t id = child.exact ? static_cast<id_t>(child.end.raw()) : static_cast<id_t>(child.pid);
#else
    const idtype_t kind = P_PID;
    const id_t id = static_cast<id_t>(child.pid);
#endif
    const int result = retry([&] { return ::waitid(kind, id, &info, WEXITED | WNOHANG); });
    std::optional<ExitStatus> status;
    if (result == 0 && info.si_pid != 0) {
        status = status_of(info);
    } else if (result != 0) {
        // No child of ours (any more): the program reaped it, or ignores SIGCHLD, or its server forked it and is gone.
        // The latter goes on running, if its handle does not say otherwise.
        if (end_seen || !child.orphan || !is_running(static_cast<std::uint32_t>(child.pid), child.start)) {
            status = ExitStatus::unknown();
        }
    }
    if (status) child.ended = true;
    return status;
}

void ExitWatch::run() noexcept {
    std::vector<pollfd>& entries = work_.entries;
    std::vector<std::shared_ptr<Watched>>& polled = work_.children;
    std::vector<std::shared_ptr<ServerConnection>>& polled_servers = work_.servers;
    std::vector<Report>& reports = work_.reports;  // empty at the beginning of each round
    bool ending = false;                           // the pipe of a child is closed, its status not there yet
    for (;;) {
        bool inexact = false;
        {
            const std::lock_guard lock(mutex_);
            if (!is_running_) {
                is_running_ = true;
                began_.notify_all();
            }
            if (stop_) return;
            reports.swap(due_);
            entries.assign(1, {fd_of(wake_reader_), POLLIN, 0});
            for (const Server& server : servers_) {
                entries.push_back({server.connection->statuses(), POLLIN, 0});
                polled_servers.push_back(server.connection);
            }
            for (const auto& child : children_) {
                const std::lock_guard child_lock(child->mutex);
                if (child->server) continue;  // its server tells
                inexact = inexact || !child->exact;
                entries.push_back({fd_of(child->end), POLLIN, 0});
                polled.push_back(child);
            }
        }
        // While a pipe stays readable without a status, sleeping in poll is impossible: it is left out for a moment.
        if (ending) { ::poll(entries.data(), 1, quick_tick); }
        const int timeout = ending || !reports.empty() ? 0 : inexact ? slow_tick : -1;
        const int count = ::poll(entries.data(), static_cast<nfds_t>(entries.size()), timeout);
        ending = false;
        if (count > 0 && entries[0].revents != 0) {
            char bytes[256];
            while (retry([&] { return ::read(fd_of(wake_reader_), bytes, sizeof bytes); }) > 0) {}
        }
        {
            const std::lock_guard lock(mutex_);
            if (count < 0) {  // interrupted: nothing is known about the entries
                polled.clear();
                polled_servers.clear();
            }
            for (std::size_t i = 0; i < polled_servers.size(); ++i) {
                if (entries[1 + i].revents == 0) continue;
                const auto server = std::find_if(servers_.begin(), servers_.end(), [&](const Server& candidate) {
                    return candidate.connection == polled_servers[i];
                });
                if (server == servers_.end() || take_statuses(*server, reports)) continue;
                orphan_children_of(server->connection.get());
                servers_.erase(server);
            }
            for (std::size_t i = 0; i < polled.size(); ++i) {
                const bool end_seen = entries[1 + polled_servers.size() + i].revents != 0;
                if (!end_seen && polled[i]->exact) continue;
                const auto status = try_reap(*polled[i], end_seen);
                if (!status) {
                    ending = ending || end_seen;
                    continue;
                }
                const auto child = std::find(children_.begin(), children_.end(), polled[i]);
                if (child != children_.end()) {
                    finish(static_cast<std::size_t>(child - children_.begin()), *status, reports);
                }
            }
            // The thread keeps nothing of a child when it reports the end.
            polled.clear();
            polled_servers.clear();
        }
        for (Report& report : reports) {
            const Report last = std::move(report);
            last.on_exit(last.status);
        }
        reports.clear();
    }
}

}  // namespace multiproc::os::posix
