// What this process runs and keeps for its children, and the steps of starting one that `launch` puts together.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "descriptors.hpp"
#include "exit_watch.hpp"
#include "identity.hpp"

namespace multiproc::os::posix {

class ServerConnection;

// There is one per process; a copy of the process gets a new one.
struct Launching {
    explicit Launching(std::uint32_t self) noexcept : pid(self) {}

    const std::uint32_t pid;
    Launching* original = nullptr;  // of the process that this one is a copy of: never used, never freed

    std::mutex mutex;  // guards what follows; not held while a process is started
    std::shared_ptr<ExitWatch> watch;
    Handle end, end_writer;             // see own_end; the writer exists where `end` is a pipe
    Handle leash_reader, leash_writer;  // see own_leash

    std::mutex server_mutex;  // guards what follows; held for one request to the server
    struct Server {
        Identity identity;  // what its children have
        Handle door;        // the way to it; of our own server, or of the one that this process came from
        std::shared_ptr<ServerConnection> connection;
        std::shared_ptr<Watched> process;  // if it is ours
        bool refused = false;              // it has threads, and was left
        // A child ahead of the next start, see spare.hpp.
        bool spare_asked = false;                  // its answer has not been read
        std::optional<std::uint64_t> spare_limit;  // on processes, when it was asked for
        std::set<std::string> preloaded;           // what it was told to run
        Clock::time_point last_start = Clock::time_point::min();
    };
    Server server;                         // whose children are as this process is, or was at its last start
    std::vector<Server> retired;           // those of earlier identities whose children still run
    std::set<std::string> fatal_preloads;  // a server has died while it may have run them: none is told again

    Handle lifeline;  // the writing end of this process's own sentinel, held until its end
};

Launching& launching();
// In a copy of a process: closes the original's descriptors here and starts afresh.
void replace_launching() noexcept;
// Shared, so that a start that shut_down_launching overtakes does not lose it under its feet.
std::shared_ptr<ExitWatch> exit_watch();
// From now on the ends of that server's children are found without it.
void abandon_server(const ServerConnection& server) noexcept;

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

// Starts `executable` (empty: this one) with exactly these descriptors. Throws std::system_error, and StartError if this
// process's rights are in the way.
pid_t spawn(Role role, const Launch& request, const Inheritance& inheritance);

// What the variable by which a process is told that it is a child says.
struct Announcement {
    Role role = Role::child;
    long parent = 0;
    std::uint64_t parent_start = 0;  // 0 if it is not known
    bool has_door = false;
    bool has_lifeline = false;
    std::size_t handles = 0;

    std::string text() const;
    // How many descriptors there are.
    int count() const noexcept { return 2 + has_door + has_lifeline + static_cast<int>(handles); }
};
// Nothing if it was written by another version.
std::optional<Announcement> parse_announcement(const char* text) noexcept;

// What a process that `spawn` started finds.
struct Arrival {
    Role role;
    Bootstrap bootstrap;
};
bool has_arrived() noexcept;
std::optional<Arrival> take_arrival();

// ---- fork_server.cpp, fork_server_client.cpp -----------------------------------------------------------------------

// Serves until the owner ends; returns in each child. `bootstrap.handles` is the door's inner and outer end.
Bootstrap serve(Bootstrap bootstrap, PreloadFunction preload);

// For a child that was made for this directory: enters it, or ends the process.
void enter_directory(int directory) noexcept;
// Puts the null device in the place of standard input and output, and `err` in that of standard error.
void install_early_streams(const Handle& err) noexcept;
// Puts `err` in the place of standard error.
void install_error_stream(Handle err) noexcept;
// What `settle` begins with, for a fork server's child that does not know yet what it is to be: signals reset, the parent
// watched.
void prepare_child(Bootstrap& bootstrap);

// A copy of the door to the server, for a child that may use it: one that is as the server's own children are.
Handle door_for_child();
// Has a child forked by the server, which is started if there is none. False if the server cannot fork, since the
// program has threads before main. Throws std::system_error.
bool fork_by_server(const Launch& request, const std::shared_ptr<Watched>& child,
                    std::function<void(ExitStatus)>& on_exit);
// Ends the servers of this process. Returns their processes, which have ended but may not be reaped yet.
std::vector<std::shared_ptr<Watched>> shut_down_servers(Launching& state) noexcept;

// ---- launch.cpp, settle.cpp -------------------------------------------------------------------------------------------------

// Sees to it that the end of a child that this process just started is awaited and reported; `lifeline` is the reading
// end of its pipe where there are no pidfds. Ends the child before it throws.
void watch_direct_child(ExitWatch& watch, const std::shared_ptr<Watched>& child, Handle lifeline,
                        std::function<void(ExitStatus)>& on_exit);

// What tools like ps and top show, as far as the system has room for it.
void set_process_name(const std::string& name) noexcept;

// Ends and reaps a child that could not be started completely.
void abandon_child(pid_t pid) noexcept;

}  // namespace multiproc::os::posix
