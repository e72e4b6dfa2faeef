// Learning of the ends of children.
#pragma once

#include <poll.h>
#include <sys/types.h>
#include <sys/wait.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "descriptors.hpp"
#include "wake_pipe.hpp"

namespace multiproc::os::posix {

class ServerConnection;

// One child whose end is awaited. Shared by the watching thread and the Child object.
struct Watched {
    pid_t pid = 0;
    Handle end;  // ready at its end
    std::function<void(ExitStatus)> on_exit;

    std::mutex mutex;         // guards what follows, and keeps reaping from coming between check and kill
    bool exact = false;       // `end` is a pidfd
    bool end_lost = false;    // the program closed `end` behind our back; what has its number now is not ours
    std::uint64_t start = 0;  // its start time, where there is no pidfd and where its server is gone
    std::shared_ptr<ServerConnection> server;  // who forked it and reaps it; null: this process, or nobody any more
    int asked = 0;                             // the signal that the server was asked to send it, if any
    bool orphan = false;                       // its server is gone
    bool ended = false;

    ~Watched() {
        if (end_lost) end.release();
    }
    void signal(int number) noexcept;
    // Its server is gone. The mutex is held.
    void orphan_it() noexcept;
    // From now on the pid and the start time have to do. The mutex is held.
    void lose_end() noexcept;
    // Whether a process runs under this pid that is not known to be another. The mutex is held.
    bool seems_running() const noexcept;
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
    // Its end was seen: it tells no more statuses.
    bool is_gone() const noexcept { return gone_.load(std::memory_order_acquire); }
    void set_gone() noexcept { gone_.store(true, std::memory_order_release); }
    // Asks the server, which alone knows whether it has reaped the child, to send it a signal.
    bool signal(pid_t pid, int number) noexcept;

    std::mutex sending;  // held for one message

private:
    Handle requests_;
    Handle statuses_;
    std::atomic<bool> gone_{false};
};

// How a server tells an end.
struct StatusMessage {
    std::int32_t pid = 0;
    std::int32_t kind = 0;  // ExitStatus::Kind
    std::uint32_t number = 0;
};

// Who answers other processes, on the thread that awaits the ends of children: as that is there anyway, and sleeps.
class Responder {
public:
    // Where questions come; -1 once the program has closed it behind our back.
    virtual int questions() const noexcept = 0;
    // Answers what has come, without waiting for anything.
    virtual void answer() noexcept = 0;

protected:
    ~Responder() = default;
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
    // Believes that server no more, but for what it has told: its children are watched as if it had died.
    void abandon(const ServerConnection& server) noexcept;
    // From now on answers for that one, too.
    void answer_for(const std::shared_ptr<Responder>& responder);
    // Whether children of that server run.
    bool has_children_of(const ServerConnection& server);
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
    bool prepare_round();
    void run_round();
    void forget_round() noexcept;
    void look_at_questions(bool all) noexcept;
    void look_at_servers(bool all);
    void look_at_children(bool all);
    bool take_statuses(Server& server, std::vector<Report>& reports);
    void orphan_children_of(const ServerConnection* server) noexcept;
    void finish(std::size_t index, ExitStatus status, std::vector<Report>& reports);

    std::mutex mutex_;  // guards what follows
    std::vector<std::shared_ptr<Watched>> children_;
    std::vector<Server> servers_;
    std::vector<Report> due_;  // ends that `add` found
    std::shared_ptr<Responder> responder_;
    bool stop_ = false;
    bool is_running_ = false;
    std::condition_variable began_;

    // What the thread works on. Not on its stack, so that in a copy made by fork, which has no such thread, a leak
    // checker still finds it.
    struct Work {
        std::vector<pollfd> entries;
        std::vector<std::shared_ptr<Watched>> children;
        std::vector<std::shared_ptr<ServerConnection>> servers;
        std::vector<Report> reports;  // empty at the beginning of each round
        bool by_the_clock = false;    // there is something whose end no descriptor tells in time
        bool ending = false;          // the pipe of a child is closed, its status not there yet
    };
    Work work_;

    WakePipe wake_pipe_;
    std::thread thread_;
};

// The status that waitid reports.
ExitStatus status_of(const siginfo_t& info) noexcept;
// Reaps the child if nobody else has to. Its status, or nothing while it runs. `end_seen`: its handle says that it has
// ended.
std::optional<ExitStatus> try_reap(Watched& child, bool end_seen);

}  // namespace multiproc::os::posix
