#include "exit_watch.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <exception>

#include "process_end.hpp"

namespace multiproc::os::posix {

namespace {

// Without pidfds a child's pipe may be held open by a process that the child started, so all are looked at now and
// then.
constexpr int slow_tick = 100;
// The pipe of a process closes a moment before its status is there.
constexpr int quick_tick = 1;

// What `poll` is asked about: the wake pipe, questions, then the servers, then the children.
constexpr std::size_t questions_entry = 1;
constexpr std::size_t first_server_entry = 2;

}  // namespace

ExitWatch::ExitWatch() {
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
    wake_pipe_.wake();
    thread_.join();
}

void ExitWatch::close_descriptors() noexcept { wake_pipe_.close(); }

void ExitWatch::add(std::shared_ptr<Watched> child) {
    bool is_news = false;
    {
        const std::lock_guard lock(mutex_);
        children_.push_back(child);  // if it throws, nothing has happened
        // The thread calls on_exit, also for those that have ended by now: the caller may hold locks of its own.
        std::vector<Report>& reports = due_;
        for (std::size_t i = children_.size() - 1; i-- != 0;) {
            // Two with one pid: somebody else reaped the older.
            if (children_[i]->pid == child->pid && !children_[i]->exact) finish(i, ExitStatus::unknown(), reports);
        }
        for (Server& server : servers_) {
            const auto early = server.early.find(child->pid);
            if (server.connection != child->server || early == server.early.end()) continue;
            const ExitStatus status = early->second;
            server.early.erase(early);
            const auto added = std::find(children_.begin(), children_.end(), child);
            finish(static_cast<std::size_t>(added - children_.begin()), status, reports);
            break;
        }
        // The server may have ended since it forked this child.
        const bool served = std::any_of(servers_.begin(), servers_.end(),
                                        [&](const Server& server) { return server.connection == child->server; });
        if (child->server && !served) {
            const std::lock_guard child_lock(child->mutex);
            child->orphan_it();
        }
        // The thread sleeps until a server tells of an end: a child more of that server changes nothing for it.
        const std::lock_guard child_lock(child->mutex);
        is_news = !child->server || !due_.empty();
    }
    if (is_news) wake_pipe_.wake();
}

void ExitWatch::add_server(std::shared_ptr<ServerConnection> server) {
    {
        const std::lock_guard lock(mutex_);
        servers_.push_back({std::move(server), {}, {}});
    }
    wake_pipe_.wake();
}

void ExitWatch::abandon(const ServerConnection& server) noexcept {
    {
        const std::lock_guard lock(mutex_);
        const auto known = std::find_if(servers_.begin(), servers_.end(),
                                        [&](const Server& candidate) { return candidate.connection.get() == &server; });
        if (known == servers_.end()) return;
        try {
            take_statuses(*known, due_);
        } catch (const std::exception&) {}  // those that are left are found as the others
        known->connection->set_gone();
        orphan_children_of(&server);
        servers_.erase(known);
    }
    wake_pipe_.wake();
}

void ExitWatch::answer_for(const std::shared_ptr<Responder>& responder) {
    {
        const std::lock_guard lock(mutex_);
        if (responder_ == responder) return;
        responder_ = responder;
    }
    wake_pipe_.wake();
}

// Takes the child out of the list; the caller calls the report's function when it holds no lock.
void ExitWatch::finish(std::size_t index, ExitStatus status, std::vector<Report>& reports) {
    Report& report = reports.emplace_back();  // if it throws, nothing has happened
    const std::shared_ptr<Watched> child = children_[index];
    children_[index] = children_.back();
    children_.pop_back();
    const std::lock_guard lock(child->mutex);
    child->ended = true;
    child->server.reset();
    report = {std::move(child->on_exit), status};
}

// Reads what a server told. False when it is gone.
bool ExitWatch::take_statuses(Server& server, std::vector<Report>& reports) {
    for (;;) {
        unsigned char bytes[64 * sizeof(StatusMessage)];
        server.partial.reserve(server.partial.size() + sizeof bytes);  // before anything is received
        const ssize_t count =
            retry([&] { return ::recv(server.connection->statuses(), bytes, sizeof bytes, MSG_DONTWAIT); });
        if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
        if (count <= 0) return false;
        server.partial.insert(server.partial.end(), bytes, bytes + count);
        while (server.partial.size() >= sizeof(StatusMessage)) {
            StatusMessage message;
            std::memcpy(&message, server.partial.data(), sizeof message);
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
            server.partial.erase(server.partial.begin(), server.partial.begin() + sizeof(StatusMessage));
        }
    }
}

void ExitWatch::orphan_children_of(const ServerConnection* server) noexcept {
    for (const auto& child : children_) {
        const std::lock_guard lock(child->mutex);
        if (child->server.get() != server) continue;
        child->orphan_it();
        // The server may have died with the request unread. One that was signalled already gets it again, which is
        // better than never.
        if (child->asked != 0 && child->seems_running()) ::kill(child->pid, child->asked);
    }
}

bool ExitWatch::has_children_of(const ServerConnection& server) {
    const std::lock_guard lock(mutex_);
    return std::any_of(children_.begin(), children_.end(), [&](const auto& child) {
        const std::lock_guard child_lock(child->mutex);
        return child->server.get() == &server;
    });
}

// Decides what this round waits for. False at the end.
bool ExitWatch::prepare_round() {
    const std::lock_guard lock(mutex_);
    if (!is_running_) {
        is_running_ = true;
        began_.notify_all();
    }
    if (stop_) return false;
    work_.reports.swap(due_);
    const bool can_be_woken = wake_pipe_.is_intact();
    work_.by_the_clock = !can_be_woken;
    work_.entries.assign(1, {can_be_woken ? wake_pipe_.fd() : -1, POLLIN, 0});
    work_.entries.push_back({responder_ ? responder_->questions() : -1, POLLIN, 0});
    for (const Server& server : servers_) {
        work_.entries.push_back({server.connection->statuses(), POLLIN, 0});
        work_.servers.push_back(server.connection);
    }
    for (const auto& child : children_) {
        const std::lock_guard child_lock(child->mutex);
        if (child->server) continue;  // its server tells
        work_.by_the_clock = work_.by_the_clock || !child->exact;
        work_.entries.push_back({child->end_lost ? -1 : fd_of(child->end), POLLIN, 0});
        work_.children.push_back(child);
    }
    return true;
}

void ExitWatch::look_at_questions(bool all) noexcept {
    if (responder_ && (all || work_.entries[questions_entry].revents != 0)) responder_->answer();
}

void ExitWatch::look_at_servers(bool all) {
    for (std::size_t i = 0; i < work_.servers.size(); ++i) {
        if (!all && work_.entries[first_server_entry + i].revents == 0) continue;
        const auto server = std::find_if(servers_.begin(), servers_.end(), [&](const Server& candidate) {
            return candidate.connection == work_.servers[i];
        });
        if (server == servers_.end() || take_statuses(*server, work_.reports)) continue;
        server->connection->set_gone();
        orphan_children_of(server->connection.get());
        servers_.erase(server);
    }
}

void ExitWatch::look_at_children(bool all) {
    work_.reports.reserve(work_.reports.size() + work_.children.size());  // before a status is taken
    for (std::size_t i = 0; i < work_.children.size(); ++i) {
        const std::shared_ptr<Watched>& watched = work_.children[i];
        const int events = all ? 0 : work_.entries[first_server_entry + work_.servers.size() + i].revents;
        const bool end_seen = (events & ~POLLNVAL) != 0;
        {
            const std::lock_guard lock(watched->mutex);
            if ((events & POLLNVAL) != 0) watched->lose_end();
            if (watched->exact && !end_seen && !all) continue;
        }
        const auto status = try_reap(*watched, end_seen);
        if (!status) {
            work_.ending = work_.ending || end_seen;
            continue;
        }
        const auto child = std::find(children_.begin(), children_.end(), watched);
        if (child != children_.end())
            finish(static_cast<std::size_t>(child - children_.begin()), *status, work_.reports);
    }
}

void ExitWatch::run() noexcept {
    for (;;) {
        try {
            if (!prepare_round()) return;
            run_round();
        } catch (const std::exception&) {
            // There is no memory. What has been learned is kept, and the rest is looked at again in a moment.
            const std::lock_guard lock(mutex_);
            forget_round();
            ::poll(nullptr, 0, quick_tick);
        }
        for (Report& report : work_.reports) {
            const Report last = std::move(report);
            last.on_exit(last.status);
        }
        work_.reports.clear();
    }
}

void ExitWatch::run_round() {
    std::vector<pollfd>& entries = work_.entries;
    // While a pipe stays readable without a status, sleeping in poll is impossible: it is left out for a moment.
    if (work_.ending) ::poll(entries.data(), 1, quick_tick);
    const int timeout = work_.ending || !work_.reports.empty() ? 0 : work_.by_the_clock ? slow_tick : -1;
    const int count = ::poll(entries.data(), static_cast<nfds_t>(entries.size()), timeout);
    // Linux takes no more entries than this process may have descriptors, a limit that the program can lower at any
    // time. Then all are looked at by the clock.
    const bool blind = count < 0 && errno != EINTR;
    if (blind && work_.reports.empty() && ::poll(entries.data(), 1, slow_tick) < 0) ::poll(nullptr, 0, slow_tick);
    if (entries[0].revents != 0) wake_pipe_.drain();
    const std::lock_guard lock(mutex_);
    work_.ending = false;
    if (count >= 0 || blind) {  // else interrupted: nothing is known about the entries
        look_at_questions(blind);
        look_at_servers(blind);
        look_at_children(blind);
    }
    forget_round();
}

// The thread keeps nothing of a child when it reports the end.
void ExitWatch::forget_round() noexcept {
    work_.children.clear();
    work_.servers.clear();
}

}  // namespace multiproc::os::posix
