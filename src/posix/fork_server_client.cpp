// The client's side of the fork server: finding or starting one, and asking it for children.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <tuple>

#include "context.hpp"
#include "fork_server.hpp"
#include "launching.hpp"
#include "messages.hpp"
#include "process_end.hpp"

namespace multiproc::os::posix {

namespace {

// Sends two new sockets through the door. Null if nobody is behind it.
std::shared_ptr<ServerConnection> knock(RawHandle door) {
    auto [requests, server_requests] = make_socket_pair(SOCK_STREAM);
    auto [statuses, server_statuses] = make_socket_pair(SOCK_STREAM);
    const Introduction introduction{static_cast<std::int32_t>(::getpid())};
    // Waits while many others knock. The server's end wakes this call, and ends the connection when it happens later.
    const int error =
        send_all(fd_of(door), &introduction, sizeof introduction, {fd_of(server_requests), fd_of(server_statuses)});
    if (error != 0) return nullptr;
    auto connection = std::make_shared<ServerConnection>(std::move(requests), std::move(statuses));
    exit_watch()->add_server(connection);
    return connection;
}

void start_server(Launching& state) {
    auto [inside, outside] = make_socket_pair(SOCK_DGRAM);
    auto process = std::make_shared<Watched>();
    process->on_exit = [](ExitStatus) {};
    Launch request;
    Inheritance inheritance;
    inheritance.parent = own_end();
    inheritance.door = outside.raw();
    Handle reader, writer;
    if (!has_pidfds()) {
        std::tie(reader, writer) = make_pipe();
        inheritance.lifeline = writer.raw();
    }
    inheritance.out = duplicate_or_null(no_handle, O_WRONLY);
    inheritance.err = duplicate_or_null(STDERR_FILENO, O_WRONLY);
    inheritance.handles = {inside.raw()};
    const std::shared_ptr<ExitWatch> watch = exit_watch();
    process->pid = spawn(Role::fork_server, request, inheritance);
    watch_direct_child(*process, std::move(reader));
    watch->add(process);
    state.server.process = std::move(process);
    state.door = std::move(outside);
    state.identity = Identity::current();
    inside.reset();  // the server's end alone closes it
    state.server.connection = knock(state.door.raw());
}

// Tells a server that this client is done, which ends it if it is ours.
void leave(const Launching::Server& server) noexcept {
    if (!server.connection) return;
    const std::lock_guard sending(server.connection->sending);
    server.connection->close_requests();
}

void forget_server(Launching& state) noexcept {
    leave(state.server);
    state.server = {};
    state.door.reset();
}

bool ask(ServerConnection& server, const Launch& request, RawHandle lifeline, Reply& reply, Handle& end) {
    RequestHeader header;
    const std::string context = capture_context(request.env);
    const Handle directory = open_directory(request.cwd);
    const Handle out = duplicate_or_null(request.out == no_handle ? STDOUT_FILENO : request.out, O_WRONLY);
    const Handle err = duplicate_or_null(request.err == no_handle ? STDERR_FILENO : request.err, O_WRONLY);
    const auto [go, say_go] = make_pipe();  // the child waits for a byte, and ends without one
    std::vector<int> descriptors{fd_of(go), fd_of(own_end()), fd_of(out), fd_of(err)};
    if (directory) {
        header.flags |= has_directory;
        descriptors.push_back(fd_of(directory));
    }
    if (lifeline != no_handle) {
        header.flags |= has_lifeline;
        descriptors.push_back(fd_of(lifeline));
    }
    for (const RawHandle handle : request.handles) descriptors.push_back(fd_of(handle));
    if (descriptors.size() > max_descriptors) fail("too many handles for a child of the fork server", E2BIG);
    header.descriptors = static_cast<std::uint32_t>(descriptors.size());
    header.context_size = static_cast<std::uint32_t>(context.size());
    std::string message(sizeof header, '\0');
    std::memcpy(message.data(), &header, sizeof header);
    message += context;
    {
        const std::lock_guard lock(server.sending);
        const int error = send_all(server.requests(), message.data(), message.size(), descriptors);
        if (error == EPIPE || error == ECONNRESET || error == ENOTCONN) return false;
        if (error != 0) fail("asking the fork server for a child", error);
    }
    std::vector<Handle> attached;
    if (!receive_all(server.requests(), &reply, sizeof reply, attached)) return false;
    if (!attached.empty()) end = std::move(attached.front());
    // This process has the other end too, so no signal can come of it. If the child is gone already, nothing is lost.
    if (reply.pid != 0) (void)!::write(fd_of(say_go), "g", 1);
    return true;
}

}  // namespace

bool ServerConnection::signal(pid_t pid, int number) noexcept {
    RequestHeader header;
    header.kind = RequestKind::signal;
    header.pid = pid;
    header.signal = number;
    const std::lock_guard lock(sending);
    return send_all(requests(), &header, sizeof header) == 0;
}

ServerAnswer fork_by_server(const Launch& request, std::function<void(ExitStatus)>& on_exit) {
    Launching& state = launching();
    const std::shared_ptr<ExitWatch> watch = exit_watch();
    const std::lock_guard lock(state.server_mutex);
    if (state.refused) return {true, nullptr};
    if (!(state.identity == Identity::current())) {
        if (state.server.connection) state.retired.push_back(std::move(state.server));
        state.server = {};
        state.door.reset();
    }
    auto child = std::make_shared<Watched>();
    Handle reader, writer;
    if (!has_pidfds()) std::tie(reader, writer) = make_pipe();
    Reply reply;
    Handle end;
    bool served = false;
    // A server that was killed is replaced, and so is one that we came from and cannot reach. But one that we have just
    // started and that ends before it answered will not do better the next time.
    for (bool fresh = false; !served && !fresh;) {
        if (!state.server.connection && state.door) state.server.connection = knock(state.door.raw());
        if (!state.server.connection) {
            forget_server(state);
            start_server(state);
            fresh = true;
        }
        if (state.server.connection) served = ask(*state.server.connection, request, writer.raw(), reply, end);
        if (!served) forget_server(state);
    }
    if (!served) fail("the fork server ended before it answered", ECONNREFUSED);
    if (reply.pid == 0) {
        if (reply.error != 0) fail("fork", reply.error);
        state.refused = true;
        forget_server(state);
        std::fputs(
            "multiproc: a static object of this program has started a thread before main, so a child cannot be forked "
            "safely; using the start method spawn instead of forkserver\n",
            stderr);
        return {true, nullptr};
    }
    child->pid = reply.pid;
    child->exact = static_cast<bool>(end);
    child->end = end ? std::move(end) : std::move(reader);
    child->start = child->exact ? 0 : start_time(static_cast<std::uint32_t>(reply.pid));
    child->server = state.server.connection;
    child->on_exit = std::move(on_exit);
    // Under the lock still: before the next request, so before the pid can come back as another child's.
    watch->add(child);
    return {false, child};
}

std::vector<std::shared_ptr<Watched>> shut_down_servers(Launching& state) noexcept {
    const std::lock_guard lock(state.server_mutex);
    std::vector<Launching::Server> servers = std::move(state.retired);
    state.retired.clear();
    servers.push_back(std::move(state.server));
    state.server = {};
    std::vector<std::shared_ptr<Watched>> processes;
    for (const Launching::Server& server : servers) {
        leave(server);
        if (!server.process) continue;
        state.door.reset();  // it led to ours; to another's it stays
        // It ends at once, unless it is stopped, or never came to read what was sent through the door.
        pollfd entry{fd_of(server.process->end), POLLIN, 0};
        if (retry([&] { return ::poll(&entry, 1, 1000); }) != 1) {
            server.process->signal(SIGKILL);
            retry([&] { return ::poll(&entry, 1, 1000); });
        }
        processes.push_back(server.process);
    }
    return processes;
}

}  // namespace multiproc::os::posix
