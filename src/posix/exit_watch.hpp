// Learning of the ends of children.
#pragma once

#include <poll.h>
#include <sys/types.h>
#include <sys/wait.h>

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "descriptors.hpp"

namespace multiproc::os::posix {

class ServerConnection;

// One child whose end is awaited. Shared by the watching thread and the Child object.
struct Watched {
    pid_t pid = 0;
    std::uint64_t start = 0;  // its start time, where there is no pidfd
    Handle end;               // ready at its end
    bool exact = false;       // `end` is a pidfd
    std::function<void(ExitStatus)> on_exit;

    std::mutex mutex;  // guards what follows, and keeps reaping from coming between check and kill
    std::shared_ptr<ServerConnection> server;  // who forked it and reaps it; null: this process, or nobody any more
    int asked = 0;                             // the signal that the server was asked to send it, if any
    bool orphan = false;                       // its server is gone
    bool ended = false;

    void signal(int number) noexcept;
};

// The client's side of a fork server.
class ServerConnection {
public:
    ServerConnection(Handle requests, Handle statuses) noexcept
        : requests_(std::move(requests)), statuses_(std::move(statuses)) {}

    int requests() const noexcept { return fd_of(requests_); }
    int statuses() const noexcept { return fd_of(statuses_); }
    // Tells the server that this client is done.
    void close_requests() noexcept { requests_.reset(); }
    // In a copy of the process.
    void close_descriptors() noexcept {
        requests_.reset();
        statuses_.reset();
    }
    // Asks the server, which alone knows whether it has reaped the child, to send it a signal.
    bool signal(pid_t pid, int number) noexcept;

    std::mutex sending;  // held for one message

private:
    Handle requests_;
    Handle statuses_;
};

// How a server tells an end.
struct StatusMessage {
    std::int32_t pid = 0;
    std::int32_t kind = 0;  // ExitStatus::Kind
    std::uint32_t number = 0;
};

// The thread that awaits the ends of all children of this process. Thread-safe.
class ExitWatch {
public:
    ExitWatch();  // starts the thread; throws std::system_error
    ~ExitWatch();
    ExitWatch(const ExitWatch&) = delete;
    ExitWatch& operator=(const ExitWatch&) = delete;

    // Ends the thread; what has not ended by then is not reported.
    void stop() noexcept;
    void add(std::shared_ptr<Watched> child);
    // From now on takes the statuses that the server sends, also those of children that are added later.
    void add_server(std::shared_ptr<ServerConnection> server);
    // Keeps the thread from its work, and so from allocating memory, as long as the result lives. For the time of a
    // fork: sanitizers' allocators, unlike the system's, are left locked in the copy.
    std::unique_lock<std::mutex> pause();
    // In a copy of the process: closes what the thread of the original uses.
    void close_descriptors() noexcept;

private:
    struct Server {
        std::shared_ptr<ServerConnection> connection;
        std::map<pid_t, ExitStatus> early;  // ends that were told before the child was added
        std::vector<unsigned char> partial;
    };
    struct Report {
        std::function<void(ExitStatus)> on_exit;
        ExitStatus status;
    };

    void run() noexcept;
    void wake() noexcept;
    bool take_statuses(Server& server, std::vector<Report>& reports);
    void orphan_children_of(const ServerConnection* server);
    void finish(std::size_t index, ExitStatus status, std::vector<Report>& reports);
    std::optional<ExitStatus> try_reap(Watched& child, bool end_seen);

    std::mutex mutex_;  // guards what follows
    std::vector<std::shared_ptr<Watched>> children_;
    std::vector<Server> servers_;
    std::vector<Report> due_;  // ends that `add` found
    bool stop_ = false;
    bool is_running_ = false;
    std::condition_variable began_;

    // What the thread works on. Not on its stack, so that in a copy made by fork, which has no such thread, a leak
    // checker still finds it.
    struct Work {
        std::vector<pollfd> entries;
        std::vector<std::shared_ptr<Watched>> children;
        std::vector<std::shared_ptr<ServerConnection>> servers;
        std::vector<Report> reports;
    };
    Work work_;

    Handle wake_reader_, wake_writer_;
    std::thread thread_;
};

// The status that waitid reports.
ExitStatus status_of(const siginfo_t& info) noexcept;

}  // namespace multiproc::os::posix
