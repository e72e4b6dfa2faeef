// The server's side: what clients ask for. It forks for each, or ahead of the next.
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <system_error>
#include <utility>

#include "context.hpp"
#include "die_here.hpp"
#include "fork_server_process.hpp"
#include "launching.hpp"
#include "leash.hpp"
#include "messages.hpp"
#include "platform.hpp"
#include "process_end.hpp"

namespace multiproc::os::posix {

namespace {

// Thread sanitizer runs a thread of its own in every process.
constexpr std::size_t usual_threads = MULTIPROC_THREAD_SANITIZER != 0 ? 2 : 1;

bool is_single_threaded() noexcept {
    // A thread that was joined a moment ago is counted until the kernel is done with it, so a second look is worth a
    // little time. Threads that stay are found only once: the client does not ask again.
    constexpr int longest = 100;
    for (int i = 0; i < longest; ++i) {
        if (thread_count() <= usual_threads) return true;
        ::poll(nullptr, 0, 1);
    }
    return false;
}

}  // namespace

std::optional<NewChild> Server::handle_requests(const std::shared_ptr<Client>& client) {
    std::optional<NewChild> child;
    while (!child) {
        std::optional<ReceivedRequest> request = client->received.next();
        if (!request) break;
        const RequestHeader& header = request->header;
        switch (header.kind) {
            case RequestKind::leave: client->gone = client->left = true; return std::nullopt;
            case RequestKind::signal:
                // Known here means not reaped: the pid is still that child's.
                if (children_.count(header.pid) != 0) ::kill(header.pid, header.signal);
                break;
            case RequestKind::preload:
                run_preload(*request);
                die_here(DeathPoint::server_preloaded);
                break;
            case RequestKind::spare:
                die_here(DeathPoint::server_got_request);
                child = fork_ahead_for(client, *std::move(request));
                break;
            case RequestKind::fork:
                die_here(DeathPoint::server_got_request);
                child = fork_for(client, *std::move(request));
                break;
        }
    }
    if (!client->received.is_sound()) client->gone = true;  // not one of ours
    return child;
}

// The program's own code, which sees the requester's output streams. What it does to this process, as opposed to its
// memory, is not for the children.
void Server::run_preload(const ReceivedRequest& request) noexcept {
    if (preload_ == nullptr || request.descriptors.size() < 2) return;
    retry([&] { return ::dup2(fd_of(request.descriptors[0]), STDOUT_FILENO); });
    retry([&] { return ::dup2(fd_of(request.descriptors[1]), STDERR_FILENO); });
    preload_(request.context);
    take_over_process();
    has_one_thread_ = false;
}

// Forks. In the new process, returns 0 with all signals blocked.
pid_t Server::fork_child(const std::shared_ptr<Client>& client, std::optional<std::uint64_t> process_limit,
                         Reply& reply, Handle& end) {
    has_one_thread_ = has_one_thread_ || is_single_threaded();
    if (!has_one_thread_) return -1;
    SignalBlock block;
    pid_t pid = -1;
    {
        const ProcessLimit limit(process_limit);
        pid = ::fork();
    }
    if (pid == 0) {
        block.keep();  // until the dispositions are put back
        keep_known_descriptors();
        hold_leash(client->leash_name);
        Launching& state = launching();
        state.server.door = std::move(door_);
        state.server.identity = std::move(identity_);
        return 0;
    }
    if (pid < 0) {
        reply.error = errno;
        return -1;
    }
    die_here(DeathPoint::server_forked);
    reply.pid = pid;
    children_[pid] = client;
    ++client->children;
    try {
        if (has_pidfds()) end = open_pidfd(pid);  // cannot be another's: only this thread reaps
    } catch (const std::exception&) {
        ::kill(pid, SIGKILL);
        reply = {0, EMFILE};
        forget_child(pid);  // reaped, but nobody is told
    }
    return pid;
}

void unpack(ReceivedRequest& request, std::size_t next, Bootstrap& bootstrap) {
    std::vector<Handle>& descriptors = request.descriptors;
    bootstrap.out = std::move(descriptors[next++]);
    install_error_stream(std::move(descriptors[next++]));  // the others are the null device here too
    if ((request.header.flags & has_directory) != 0) enter_directory(fd_of(descriptors[next++]));
    if ((request.header.flags & has_lifeline) != 0) launching().lifeline = std::move(descriptors[next++]);
    for (; next < descriptors.size(); ++next) bootstrap.handles.push_back(std::move(descriptors[next]));
    bootstrap.context = std::move(request.context);
}

// Returns something in the child only.
std::optional<NewChild> Server::fork_for(const std::shared_ptr<Client>& client, ReceivedRequest request) {
    Reply reply;
    Handle end;
    if (!is_complete(request, 0)) {
        reply.error = EMFILE;
    } else if (fork_child(client, process_limit_of(request.context), reply, end) == 0) {
        NewChild child;
        child.bootstrap.control = std::move(request.descriptors[0]);  // tells it to go on
        child.bootstrap.parent_pid = static_cast<std::uint32_t>(client->pid);
        child.bootstrap.parent = std::move(request.descriptors[1]);
        unpack(request, 2, child.bootstrap);
        return child;
    }
    std::vector<int> attached;
    if (end) attached.push_back(fd_of(end));
    if (send_all(fd_of(client->requests), &reply, sizeof reply, attached) != 0) client->gone = true;
    die_here(DeathPoint::server_replied);
    return std::nullopt;
}

std::optional<NewChild> Server::fork_ahead_for(const std::shared_ptr<Client>& client, ReceivedRequest request) {
    // That the client asks for another says what became of the last one.
    const std::optional<ExitStatus> last_end = std::exchange(client->spare_end, std::nullopt);
    const pid_t last = std::exchange(client->spare, 0);
    if (last != 0 && last == request.header.pid) {
        if (last_end) tell(*client, last, *last_end);
    } else if (last != 0 && !last_end) {
        forget_child(last);  // it leaves, and nobody is told
    }
    Reply reply;
    Handle end;
    std::vector<int> attached;
    std::optional<SpareLine> line;
    try {
        if (request.descriptors.empty()) fail("receiving a request for a spare child", EMFILE);
        line.emplace();
    } catch (const std::system_error& error) { reply.error = error.code().value(); }
    if (line) {
        std::optional<std::uint64_t> limit;
        if ((request.header.flags & has_process_limit) != 0) limit = request.header.process_limit;
        if (fork_child(client, limit, reply, end) == 0) {
            NewChild child;
            child.bootstrap.parent_pid = static_cast<std::uint32_t>(client->pid);
            child.bootstrap.parent = std::move(request.descriptors.front());
            line->clients.reset();
            child.line = std::move(line);
            return child;
        }
        client->spare = reply.pid;
        attached = {fd_of(line->clients), fd_of(line->baton)};
        if (end) attached.push_back(fd_of(end));
    }
    if (reply.pid == 0) attached.clear();
    if (send_all(fd_of(client->requests), &reply, sizeof reply, attached) != 0) client->gone = true;
    die_here(DeathPoint::server_replied);
    return std::nullopt;
}

}  // namespace multiproc::os::posix
