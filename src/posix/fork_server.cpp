// The server's side: a process that runs this executable up to freeze_support and no further, and forks from there. It
// has one thread, which sleeps in poll.
#include "fork_server_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <tuple>

#include "context.hpp"
#include "die_here.hpp"
#include "launching.hpp"
#include "leash.hpp"
#include "messages.hpp"
#include "platform.hpp"
#include "process_end.hpp"
#include "spare.hpp"

namespace multiproc::os::posix {

namespace {

constexpr int slow_tick = 100;

int child_ended_writer = -1;  // for the signal handler
volatile std::sig_atomic_t child_ended = 0;

void on_child_ended(int) {
    const int error = errno;
    const char byte = 0;
    child_ended = 1;
    (void)!::write(child_ended_writer, &byte, 1);  // a full pipe has woken the server already
    errno = error;
}

void set_signal(int number, void (*action)(int)) noexcept {
    struct sigaction what {};
    what.sa_handler = action;
    what.sa_flags = SA_RESTART;
    ::sigaction(number, &what, nullptr);
}

}  // namespace

Server::Server(Bootstrap bootstrap, PreloadFunction preload)
    : owner_(static_cast<pid_t>(bootstrap.parent_pid)),
      owner_end_(std::move(bootstrap.parent)),
      door_inside_(std::move(bootstrap.handles.at(0))),
      door_(std::move(launching().server.door)),
      preload_(preload) {
    std::tie(ended_reader_, ended_writer_) = make_pipe();
    for (const int end : {fd_of(ended_reader_), fd_of(ended_writer_)}) ::fcntl(end, F_SETFL, O_NONBLOCK);
    child_ended_writer = fd_of(ended_writer_);
    take_over_process();
    main_module();  // the children would each find it out anew
}

// After the program's own code has run here.
void Server::take_over_process() noexcept {
    flush_streams();  // so that the children have nothing of what it printed
    // Ctrl+C and the end of the terminal are the owner's business: this ends when the owner does. They are taken rather
    // than ignored, since BSD kernels drop what is ignored also while it is blocked: a new child would never see what was
    // sent to it before it had settled.
    for (const int number : {SIGINT, SIGQUIT, SIGHUP}) set_signal(number, [](int) {});
    set_signal(SIGPIPE, SIG_IGN);
    set_signal(SIGCHLD, on_child_ended);
    sigset_t none;
    sigemptyset(&none);
    ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
    // This process outlives its program by a moment, and a reader of the program's messages would wait for its end.
    install_early_streams(Handle(retry([] { return ::open("/dev/null", O_WRONLY | O_CLOEXEC); })));
    note_own_context();
}

NewChild Server::run() {
    for (;;) {
        std::vector<pollfd> entries{
            {fd_of(owner_end_), POLLIN, 0}, {fd_of(ended_reader_), POLLIN, 0}, {fd_of(door_inside_), POLLIN, 0}};
        constexpr std::size_t first = 3;
        for (const auto& client : clients_) {
            entries.push_back({client->gone ? -1 : fd_of(client->requests), POLLIN, 0});
            const int wanted = client->unsent.empty() ? 0 : POLLOUT;
            entries.push_back({client->gone ? -1 : fd_of(client->statuses), static_cast<short>(wanted), 0});
            entries.push_back({fd_of(client->end), POLLIN, 0});
        }
        if (::poll(entries.data(), static_cast<nfds_t>(entries.size()), -1) < 0) {
            // EINTR: SIGCHLD. Else there are more entries than this process may have descriptors; those that were there
            // before the limit was lowered go on, looked at by the clock.
            if (errno == EINTR) {
                if (child_ended != 0) reap();
                continue;
            }
            ::poll(nullptr, 0, slow_tick);
            for (pollfd& entry : entries) ::poll(&entry, 1, 0);
        }
        if (entries[0].revents != 0) {
            // All of them descend from the owner. Where it has no leash its children see to themselves: what is ready here
            // may only mean that it closed its descriptors.
            if (has_pidfds()) end_children_of(nullptr);
            exit_now(0);
        }
        if (entries[1].revents != 0) reap();
        const std::vector<std::shared_ptr<Client>> polled = clients_;
        for (std::size_t i = 0; i < polled.size(); ++i) {
            Client& client = *polled[i];
            const pollfd* const found = &entries[first + 3 * i];
            if (found[2].revents != 0) {
                end_children_of(&client);
                client.gone = true;
                client.end.reset();
            }
            if (found[1].revents != 0) send_statuses(client);
            if (found[0].revents == 0) continue;
            receive(client);
            if (auto child = handle_requests(polled[i])) return std::move(*child);
        }
        if (entries[2].revents != 0) admit();
        if (is_done()) exit_now(0);
        std::erase_if(clients_, [](const auto& client) { return client->gone && client->children == 0; });
    }
}

void Server::admit() {
    Introduction introduction;
    Received message = receive_some(fd_of(door_inside_), &introduction, sizeof introduction, MSG_DONTWAIT);
    const std::size_t count = message.descriptors.size();
    if (message.size != sizeof introduction || (count != 2 && count != 5)) return;
    die_here(DeathPoint::server_visited);
    // Whoever comes with the door in his hand, but with other rights than this process, is not to get children with them.
    if (!has_same_user(fd_of(message.descriptors[0]))) return;
    auto client = std::make_shared<Client>();
    client->pid = introduction.pid;
    client->requests = std::move(message.descriptors[0]);
    client->statuses = std::move(message.descriptors[1]);
    if (count == 5) {
        client->end = std::move(message.descriptors[2]);
        client->leash_reader = std::move(message.descriptors[3]);
        client->leash_writer = std::move(message.descriptors[4]);
        client->leash_name = leash_name(client->leash_reader);
    }
    clients_.push_back(std::move(client));
}

void Server::reap() {
    child_ended = 0;
    char bytes[256];
    const auto full = static_cast<ssize_t>(sizeof bytes);
    while (retry([&] { return ::read(fd_of(ended_reader_), bytes, sizeof bytes); }) == full) {}
    // Each by its own pid: a static initialiser of the program may have children too.
    for (auto child = children_.begin(); child != children_.end();) {
        siginfo_t info{};
        const int result =
            retry([&] { return ::waitid(P_PID, static_cast<id_t>(child->first), &info, WEXITED | WNOHANG); });
        if (result == 0 && info.si_pid == 0) {
            ++child;
            continue;
        }
        const ExitStatus status = result == 0 ? status_of(info) : ExitStatus::unknown();
        die_here(DeathPoint::server_reaped);
        if (const std::shared_ptr<Client>& client = child->second) {
            --client->children;
            if (client->spare == child->first) {
                client->spare_end = status;
            } else if (!client->gone) {
                tell(*client, child->first, status);
            }
        }
        child = children_.erase(child);
    }
}

// Null: of all clients. Those in the list are not reaped, so their pids are theirs.
void Server::end_children_of(const Client* client) noexcept {
    for (const auto& [pid, asker] : children_) {
        if (client == nullptr || asker.get() == client) ::kill(pid, SIGKILL);
    }
}

void Server::forget_child(pid_t pid) noexcept {
    std::shared_ptr<Client>& client = children_[pid];
    if (client) --client->children;
    client.reset();
}

// The owner says when it is done with the server; a child of it is a client like any other. An owner of which nothing is
// heard any more may have closed its descriptors only, so its children keep this process, which watches it for them.
bool Server::is_done() const noexcept {
    return std::any_of(clients_.begin(), clients_.end(), [this](const auto& client) {
        return client->gone && client->pid == owner_ && (client->left || client->children == 0);
    });
}

void Server::tell(Client& client, pid_t pid, ExitStatus status) {
    const StatusMessage message{pid, static_cast<std::int32_t>(status.kind()), status.number()};
    const auto* const begin = reinterpret_cast<const unsigned char*>(&message);
    client.unsent.insert(client.unsent.end(), begin, begin + sizeof message);
    send_statuses(client);
}

void Server::send_statuses(Client& client) noexcept {
    while (!client.unsent.empty()) {
#if defined(__APPLE__)
        constexpr int flags = MSG_DONTWAIT;
#else
        constexpr int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
#endif
        const ssize_t sent =
            retry([&] { return ::send(fd_of(client.statuses), client.unsent.data(), client.unsent.size(), flags); });
        if (sent < 0) {
            if (errno != EAGAIN && errno != EWOULDBLOCK) client.unsent.clear();  // it is gone; its requests say so too
            return;
        }
        die_here(DeathPoint::server_told);
        client.unsent.erase(client.unsent.begin(), client.unsent.begin() + sent);
    }
}

// Never waits for the rest of a message: its sender may have died in the middle.
void Server::receive(Client& client) {
    unsigned char bytes[8192];  // little, as what is touched of the stack is copied at each fork
    for (;;) {
        Received part = receive_some(fd_of(client.requests), bytes, sizeof bytes, MSG_DONTWAIT);
        if (part.error == EAGAIN || part.error == EWOULDBLOCK) return;
        client.received.add({bytes, part.size}, std::move(part.descriptors));
        if (part.size == 0) {
            client.gone = true;
            return;
        }
        if (part.size < sizeof bytes) return;
    }
}

Bootstrap serve(Bootstrap bootstrap, PreloadFunction preload) {
    set_process_name("mp-forkserver");
    dismiss_guard();
    NewChild child = [&] {
        // In a child the server's descriptors are closed: they would hide the server's end from the client.
        Server server(std::move(bootstrap), preload);
        return server.run();
    }();
    die_here(DeathPoint::server_child_forked);
    if (!child.line) return std::move(child.bootstrap);
    prepare_child(child.bootstrap);
    die_here(DeathPoint::spare_waits);
    ReceivedRequest request = await_use(child.line->childs, child.line->baton);
    if (!is_complete(request, 2)) fail("receiving what the parent sends", EMFILE);
    die_here(DeathPoint::spare_gets_used);
    unpack(request, 0, child.bootstrap);
    return std::move(child.bootstrap);
}

}  // namespace multiproc::os::posix
