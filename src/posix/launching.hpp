// What this process runs and keeps for its children, and the steps of starting one that `launch` puts together.
#pragma once

#include <sys/types.h>

#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "descriptors.hpp"
#include "exit_watch.hpp"

namespace multiproc::os::posix {

class ServerConnection;

// The credentials, session and process group of this process. A fork server is a process of its own: its children have
// those that it was started with, so one that no longer fits is replaced.
struct Identity {
    static Identity current() noexcept;
    friend bool operator==(const Identity&, const Identity&) noexcept = default;

    std::array<long, 6> values{};
};

// There is one per process; a copy of the process gets a new one.
struct Launching {
    explicit Launching(pid_t self) noexcept : pid(self), identity(Identity::current()) {}

    const pid_t pid;
    Launching* original = nullptr;  // of the process that this one is a copy of: never used, never freed

    std::mutex mutex;  // guards what follows; not held while a process is started
    std::shared_ptr<ExitWatch> watch;
    Handle end, end_writer;  // see own_end; the writer exists where `end` is a pipe

    std::mutex server_mutex;  // guards what follows; held for one request to the server
    struct Server {
        std::shared_ptr<ServerConnection> connection;
        std::shared_ptr<Watched> process;  // if it is ours
    };
    Server server;
    std::vector<Server> retired;  // no longer asked for children, but those that run are still theirs
    Handle door;                  // the way to a server, our own or the one that this process came from
    Identity identity;            // what that server's children have
    bool refused = false;         // the server has threads

    Handle lifeline;  // the writing end of this process's own sentinel, held until its end
};

Launching& launching();
// In a copy of a process: closes the original's descriptors here and starts afresh.
void replace_launching() noexcept;
// Shared, so that a start that shut_down_launching overtakes does not lose it under its feet.
std::shared_ptr<ExitWatch> exit_watch();

// ---- spawn.cpp ---------------------------------------------------------------------------------------------------

enum class Role : char { child = 'c', fork_server = 's' };

struct Inheritance {
    RawHandle parent = no_handle;    // the launching process's own_end
    RawHandle door = no_handle;      // optional
    RawHandle lifeline = no_handle;  // optional
    Handle out;                      // the real standard output, installed by settle
    Handle err;                      // standard error from the beginning
    std::vector<RawHandle> handles;
};

// Starts `executable` (empty: this one) with exactly these descriptors. Throws std::system_error.
pid_t spawn(Role role, const Launch& request, const Inheritance& inheritance);

// What a process that `spawn` started finds.
struct Arrival {
    Role role;
    Bootstrap bootstrap;
};
bool has_arrived() noexcept;
std::optional<Arrival> take_arrival();

// ---- fork_server.cpp, fork_server_client.cpp -----------------------------------------------------------------------

// Serves until the owner ends; returns in each child. `bootstrap.handles` is the door's inner and outer end.
Bootstrap serve(Bootstrap bootstrap);

// Puts the null device in the place of standard input and output, and `err` in that of standard error.
void install_early_streams(const Handle& err) noexcept;

struct ServerAnswer {
    bool refused = false;  // it has threads: spawn instead
    std::shared_ptr<Watched> child;
};
// Has a child forked by the server, which is started if there is none. Throws std::system_error.
ServerAnswer fork_by_server(const Launch& request, std::function<void(ExitStatus)>& on_exit);
// Ends the servers of this process. Returns their processes, which have ended but may not be reaped yet.
std::vector<std::shared_ptr<Watched>> shut_down_servers(Launching& state) noexcept;

// ---- launch.cpp -----------------------------------------------------------------------------------------------------

// Fills in how the end of a child that this process just started is awaited; `lifeline` is the reading end of its pipe
// where there are no pidfds. Ends the child before it throws.
void watch_direct_child(Watched& child, Handle lifeline);

// What tools like ps and top show, as far as the system has room for it.
void set_process_name(const std::string& name) noexcept;

// Ends and reaps a child that could not be started completely.
void abandon_child(pid_t pid) noexcept;

}  // namespace multiproc::os::posix
