// The client's side of the fork server: finding or starting one, and asking it for children.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <optional>
#include <tuple>

#include <multiproc/errors.hpp>

#include "context.hpp"
#include "die_here.hpp"
#include "fork_server.hpp"
#include "launching.hpp"
#include "leash.hpp"
#include "messages.hpp"
#include "process_end.hpp"
#include "request_queue.hpp"
#include "spare.hpp"

namespace multiproc::os::posix {

namespace {

// Sends two new sockets through the door. Null if nobody is behind it.
std::shared_ptr<ServerConnection> knock(RawHandle door) {
    auto [requests, server_requests] = make_socket_pair(SOCK_STREAM);
    auto [statuses, server_statuses] = make_socket_pair(SOCK_STREAM);
    const Introduction introduction{static_cast<std::int32_t>(current_pid())};
    std::vector<int> descriptors{fd_of(server_requests), fd_of(server_statuses)};
    if (const std::optional<Leash> leash = own_leash())
        descriptors.insert(descriptors.end(), {fd_of(own_end()), fd_of(leash->reader), fd_of(leash->writer)});
    // Waits while many others knock. The server's end wakes this call, and ends the connection when it happens later.
    int error = 0;
    for (int tries = 0; tries < 1000; ++tries) {
        error = send_all(fd_of(door), &introduction, sizeof introduction, descriptors);
        if (error != ENOBUFS) break;
        ::poll(nullptr, 0, 1);  // macOS does not wait for room
    }
    if (error != 0) return nullptr;
    die_here(DeathPoint::server_knocked);
    auto connection = std::make_shared<ServerConnection>(std::move(requests), std::move(statuses));
    exit_watch()->add_server(connection);
    return connection;
}

void start_server(Launching::Server& server) {
    auto [inside, outside] = make_socket_pair(SOCK_DGRAM);
    auto process = std::make_shared<Watched>();
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
    std::function<void(ExitStatus)> on_exit = [](ExitStatus) {};
    process->pid = spawn(Role::fork_server, request, inheritance);
    die_here(DeathPoint::server_spawned);
    watch_direct_child(*watch, process, std::move(reader), on_exit);
    server.process = std::move(process);
    server.door = std::move(outside);
    inside.reset();  // the server's end alone closes it
    server.connection = knock(server.door.raw());
}

// Tells a server that this client is done, which ends it if it is ours.
void leave(const Launching::Server& server) noexcept {
    if (!server.connection) return;
    const std::lock_guard sending(server.connection->sending);
    // Its end alone would not tell: a program may have closed all its descriptors, and its children still run.
    RequestHeader header;
    header.kind = RequestKind::leave;
    (void)send_all(server.connection->requests(), &header, sizeof header, {}, MSG_DONTWAIT);
    server.connection->close_requests();
}

// So that another is started in its place. It may not know of all of its children, so their ends are found without it.
void forget(Launching::Server& server) noexcept {
    leave(server);
    if (server.connection) abandon_server(*server.connection);
    server.door.reset();
    server.connection.reset();
    server.process.reset();
    server.spare_asked = false;
    server.preloaded.clear();
}

// Makes that the current server which fits this process's rights, and leaves those that nobody needs any more: who gave
// up rights does not keep a way to them.
void choose_server(Launching& state, ExitWatch& watch, Identity identity) {
    if (state.server.identity != identity) {
        state.retired.push_back(std::move(state.server));
        state.server = {};
        state.server.identity = std::move(identity);
        const auto fitting = std::find_if(
            state.retired.begin(), state.retired.end(),
            [&](const Launching::Server& candidate) { return candidate.identity == state.server.identity; });
        if (fitting != state.retired.end()) {
            state.server = std::move(*fitting);
            state.retired.erase(fitting);
        }
    }
    std::erase_if(state.retired, [&](Launching::Server& server) {
        if (server.connection && watch.has_children_of(*server.connection)) return false;
        forget(server);
        return true;
    });
}

// A request for a child, as any server can be asked.
struct Request {
    std::string bytes;
    std::vector<Handle> owned;
    std::vector<int> descriptors;  // after the one that lets the child go on
    std::optional<std::uint64_t> process_limit;
    const std::string& preload;

    Request(const Launch& launch, const std::string& own_status, RawHandle lifeline);
};

Request::Request(const Launch& launch, const std::string& own_status, RawHandle lifeline) : preload(launch.preload) {
    RequestHeader header;
    const auto attach = [this](Handle handle) {
        descriptors.push_back(fd_of(handle));
        owned.push_back(std::move(handle));
    };
    descriptors.push_back(fd_of(own_end()));
    attach(duplicate_or_null(launch.out == no_handle ? STDOUT_FILENO : launch.out, O_WRONLY));
    attach(duplicate_or_null(launch.err == no_handle ? STDERR_FILENO : launch.err, O_WRONLY));
    Handle directory = open_directory(launch.cwd);
    const std::string context = capture_context(launch.env, own_status, directory ? std::string() : own_directory());
    process_limit = process_limit_of(context);
    if (directory) {
        header.flags |= has_directory;
        attach(std::move(directory));
    }
    if (lifeline != no_handle) {
        header.flags |= has_lifeline;
        descriptors.push_back(fd_of(lifeline));
    }
    for (const RawHandle handle : launch.handles) descriptors.push_back(fd_of(handle));
    if (descriptors.size() + 1 > max_descriptors) fail("too many handles for a child of the fork server", E2BIG);
    header.descriptors = static_cast<std::uint32_t>(descriptors.size() + 1);
    header.context_size = static_cast<std::uint32_t>(context.size());
    bytes.assign(reinterpret_cast<const char*>(&header), sizeof header);
    bytes += context;
}

// Waits for the answer or the server's end. A copy that the host made of this process may hold the connection's other
// end, which then stays open.
bool await_answer(const Launching::Server& server) noexcept {
    pollfd entries[] = {{server.connection->requests(), POLLIN, 0},
                        {server.process ? fd_of(server.process->end) : -1, POLLIN, 0}};
    if (retry([&] { return ::poll(entries, 2, -1); }) < 0) return false;
    return entries[0].revents != 0;
}

bool has_ended(const Launching::Server& server) noexcept {
    pollfd entries[] = {{server.connection->requests(), 0, 0},
                        {server.process ? fd_of(server.process->end) : -1, POLLIN, 0}};
    return retry([&] { return ::poll(entries, 2, 0); }) != 0;
}

// The server's next answer. Nothing if it breaks off, or says what no server says.
std::optional<ReceivedReply> receive_answer(const Launching::Server& server) noexcept {
    try {
        Reply reply;
        std::vector<Handle> attached;
        if (!await_answer(server) || !receive_all(server.connection->requests(), &reply, sizeof reply, attached)) {
            return std::nullopt;
        }
        return check_reply(reply, std::move(attached));
    } catch (const std::exception&) { return std::nullopt; }
}

struct Started {
    Reply reply;
    Handle end;
};

// Whether the server should run something first. It need not, as each child runs it itself where it is not done.
bool wants_preload(const Launching& state, const Request& request) {
    return !request.preload.empty() && request.preload.size() <= largest_context &&
           !state.server.preloaded.contains(request.preload) && !state.fatal_preloads.contains(request.preload);
}

// False if the server cannot be reached.
bool send_preload(Launching::Server& server, const Request& request) {
    RequestHeader header;
    header.kind = RequestKind::preload;
    header.context_size = static_cast<std::uint32_t>(request.preload.size());
    header.descriptors = 2;
    std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
    bytes += request.preload;
    const std::lock_guard lock(server.connection->sending);
    const int streams[] = {request.descriptors[1], request.descriptors[2]};
    const int error = send_all(server.connection->requests(), bytes.data(), bytes.size(), streams);
    if (error == 0) server.preloaded.insert(request.preload);
    die_here(DeathPoint::server_preload_sent);
    return error == 0;
}

// Nothing if the server cannot be reached or breaks off: it has to be left then, as it may be in the middle of a
// request or of an answer.
std::optional<Started> ask(const Launching::Server& server, const Request& request) {
    ServerConnection& connection = *server.connection;
    const auto [go, say_go] = make_pipe();  // the child waits for a byte, and ends without one
    std::vector<int> descriptors{fd_of(go)};
    descriptors.insert(descriptors.end(), request.descriptors.begin(), request.descriptors.end());
    {
        const std::lock_guard lock(connection.sending);
        const int error = send_all(connection.requests(), request.bytes.data(), request.bytes.size(), descriptors);
        // Of this process's own lack or mistake, and before the first byte.
        if (error == ETOOMANYREFS || error == EMFILE || (error == EBADF && is_open(connection.requests())))
            fail("asking the fork server for a child", error);
        if (error != 0) return std::nullopt;
        die_here(DeathPoint::server_asked);
    }
    std::optional<ReceivedReply> answer = receive_answer(server);
    if (!answer) return std::nullopt;
    die_here(DeathPoint::server_answer_got);
    Started started{answer->reply, {}};
    if (!answer->attached.empty()) started.end = std::move(answer->attached.front());
    // This process has the other end too, so no signal can come of it. If the child is gone already, nothing is lost.
    if (started.reply.pid != 0) (void)!::write(fd_of(say_go), "g", 1);
    die_here(DeathPoint::server_child_told_to_go);
    return started;
}

// Asks the current server. A server that was killed is replaced, and so is one that we came from and cannot reach. But
// one that was just started and that ends before it answered will not do better the next time.
Started ask_some_server(Launching& state, const Request& request) {
    Launching::Server& server = state.server;
    if (server.connection && server.connection->is_gone()) forget(server);
    for (bool fresh = false; !fresh;) {
        if (!server.connection && server.door) server.connection = knock(server.door.raw());
        if (!server.connection) {
            forget(server);
            start_server(server);
            fresh = true;
        }
        if (server.connection) {
            const bool preloads = wants_preload(state, request);
            if (!preloads || send_preload(server, request)) {
                if (auto started = ask(server, request)) return *std::move(started);
            }
            if (preloads) state.fatal_preloads.insert(request.preload);
        }
        forget(server);
    }
    throw BootstrapError(
        "multiproc: the fork server, which runs this program up to freeze_support(), ended before that; its standard "
        "error says why");
}

// The answer to the request for a spare child, which has to be read before anything else is asked. Nothing if there is
// none to be had, or if its server is gone: then it is left to end by itself.
std::optional<SpareOffer> take_offer(Launching::Server& server) {
    if (!std::exchange(server.spare_asked, false)) return std::nullopt;
    std::optional<ReceivedReply> answer = receive_answer(server);
    if (!answer || has_ended(server)) {
        forget(server);
        return std::nullopt;
    }
    if (answer->reply.pid == 0 || answer->attached.size() < 2) return std::nullopt;
    SpareOffer offer;
    offer.pid = answer->reply.pid;
    offer.line = std::move(answer->attached[0]);
    offer.baton = std::move(answer->attached[1]);
    if (answer->attached.size() > 2) offer.end = std::move(answer->attached[2]);
    if (has_pidfds() && !offer.end) return std::nullopt;
    return offer;
}

// Uses the spare child, if there is one and it is as one forked now would be.
std::optional<Started> use_spare(Launching& state, const Request& request) {
    Launching::Server& server = state.server;
    const bool is_unprepared = wants_preload(state, request);  // it was forked before the server will run that
    const std::optional<std::uint64_t> limit = server.spare_limit;
    std::optional<SpareOffer> offer = take_offer(server);
    if (!offer || limit != request.process_limit || is_unprepared || !offer->take()) return std::nullopt;
    die_here(DeathPoint::spare_taken);
    const std::vector<int> descriptors(request.descriptors.begin() + 1, request.descriptors.end());  // it has the first
    const int error = send_all(fd_of(offer->line), request.bytes.data(), request.bytes.size(), descriptors);
    // Of this process's own lack or mistake, before the first byte. Anything else is the child's end, and is told as such.
    if (error == ETOOMANYREFS || error == EMFILE || error == EBADF) return std::nullopt;
    die_here(DeathPoint::spare_used);
    return Started{{offer->pid, 0}, std::move(offer->end)};
}

// Asks for the next spare child, if the program starts one process after the other; `used` is the last one, or 0.
void ask_for_spare(Launching::Server& server, const Request& request, pid_t used) noexcept {
    const Clock::time_point now = Clock::now();
    const bool often = server.last_start != Clock::time_point::min() && now - server.last_start < spare_patience;
    server.last_start = now;
    if (!often && used == 0) return;
    RequestHeader header;
    header.kind = RequestKind::spare;
    header.pid = used;
    header.descriptors = 1;
    if (request.process_limit) {
        header.flags |= has_process_limit;
        header.process_limit = *request.process_limit;
    }
    ServerConnection& connection = *server.connection;
    const int attached[] = {request.descriptors.front()};
    {
        const std::lock_guard lock(connection.sending);
        server.spare_asked = send_all(connection.requests(), &header, sizeof header, attached) == 0;
        die_here(DeathPoint::spare_asked);
    }
    server.spare_limit = request.process_limit;
    // It is gone, or does not know that its last spare child is used and that its end is to be told.
    if (!server.spare_asked) forget(server);
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

Handle door_for_child() {
    Launching& state = launching();
    const std::lock_guard lock(state.server_mutex);
    if (!state.server.door || state.server.identity != Identity::current()) return Handle();
    return duplicate(state.server.door.raw());
}

bool fork_by_server(const Launch& request, const std::shared_ptr<Watched>& child,
                    std::function<void(ExitStatus)>& on_exit) {
    Launching& state = launching();
    const std::shared_ptr<ExitWatch> watch = exit_watch();
    Handle reader, writer;
    if (!has_pidfds()) std::tie(reader, writer) = make_pipe();
    const std::string own_status = read_own_status();
    const Request message(request, own_status, writer.raw());
    {
        const std::lock_guard lock(state.server_mutex);
        choose_server(state, *watch, Identity::current(own_status));
        if (state.server.refused) return false;
        std::optional<Started> spare = use_spare(state, message);
        const pid_t used = spare ? spare->reply.pid : 0;
        auto [reply, end] = spare ? *std::move(spare) : ask_some_server(state, message);
        if (reply.pid != 0) {
            child->pid = reply.pid;
            child->exact = static_cast<bool>(end);
            child->end = end ? std::move(end) : std::move(reader);
            child->start = child->exact ? 0 : start_time(static_cast<std::uint32_t>(reply.pid));
            child->server = state.server.connection;
            child->on_exit = std::move(on_exit);
            try {
                // Under the lock still: before the next request, so before the pid can come back as another child's.
                watch->add(child);
            } catch (...) {
                child->signal(SIGKILL);
                throw;
            }
            ask_for_spare(state.server, message, used);
            return true;
        }
        if (reply.error != 0) fail("fork", reply.error);
        state.server.refused = true;
        forget(state.server);
    }
    print_error(
        "multiproc: a static object or a .preload function of this program has started a thread in the fork server, so "
        "a "
        "child cannot be forked safely; using the start method spawn instead of forkserver\n");
    return false;
}

std::vector<std::shared_ptr<Watched>> shut_down_servers(Launching& state) noexcept {
    const std::lock_guard lock(state.server_mutex);
    std::vector<Launching::Server> servers = std::move(state.retired);
    state.retired.clear();
    servers.push_back(std::move(state.server));
    state.server = {};
    if (!servers.back().process) {  // another's, to which the door stays
        state.server.identity = servers.back().identity;
        state.server.door = std::move(servers.back().door);
    }
    std::vector<std::shared_ptr<Watched>> processes;
    for (const Launching::Server& server : servers) {
        leave(server);
        if (!server.process) continue;
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
