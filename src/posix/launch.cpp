#include <fcntl.h>
#include <unistd.h>

#include <stdexcept>
#include <tuple>

#include "context.hpp"
#include "die_here.hpp"
#include "launching.hpp"
#include "platform.hpp"
#include "process_end.hpp"

namespace multiproc::os {

namespace {

using namespace posix;

class PosixChild final : public Child {
public:
    explicit PosixChild(std::shared_ptr<Watched> watched) noexcept : watched_(std::move(watched)) {}

    std::uint32_t pid() const noexcept override { return static_cast<std::uint32_t>(watched_->pid); }

    void signal(Signal signal) noexcept override {
        switch (signal) {
            case Signal::interrupt: return watched_->signal(SIGINT);
            case Signal::terminate: return watched_->signal(SIGTERM);
            case Signal::kill: return watched_->signal(SIGKILL);
        }
    }

    RawHandle sentinel() const noexcept override { return watched_->end.raw(); }

private:
    std::shared_ptr<Watched> watched_;
};

Handle stream_for_child(RawHandle given, int own) {
    return duplicate_or_null(given == no_handle ? static_cast<RawHandle>(own) : given, O_WRONLY);
}

void launch_by_spawn(const Launch& request, const std::shared_ptr<Watched>& child,
                     std::function<void(ExitStatus)>& on_exit) {
    const std::shared_ptr<ExitWatch> watch =
        exit_watch();  // first, so that a child is never without somebody who reaps it
    Inheritance inheritance;
    inheritance.parent = own_end();
    const Handle door = door_for_child();
    inheritance.door = door.raw();
    Handle reader, writer;
    if (!has_pidfds()) std::tie(reader, writer) = make_pipe();
    inheritance.lifeline = writer.raw();
    inheritance.out = stream_for_child(request.out, STDOUT_FILENO);
    inheritance.err = stream_for_child(request.err, STDERR_FILENO);
    inheritance.handles = request.handles;
    child->pid = posix::spawn(Role::child, request, inheritance);
    die_here(DeathPoint::child_spawned);
    watch_direct_child(*watch, child, std::move(reader), on_exit);
}

// What a child made by `fork` takes with it, prepared while an error can still be reported.
struct ForkLuggage {
    Bootstrap bootstrap;
    Handle door, lifeline, directory;
    Identity identity;  // of who is behind the door
};

[[noreturn]] void go_on_after_fork(const Launch& request, ForkLuggage& luggage) noexcept {
    forget_launching();
    Launching& state = launching();
    state.server.door = std::move(luggage.door);
    state.server.identity = std::move(luggage.identity);
    state.lifeline = std::move(luggage.lifeline);
    Bootstrap& bootstrap = luggage.bootstrap;
    std::vector<int> kept{fd_of(state.server.door), fd_of(state.lifeline), fd_of(bootstrap.parent),
                          fd_of(bootstrap.out),     fd_of(bootstrap.err),  fd_of(luggage.directory)};
    for (const Handle& handle : bootstrap.handles) kept.push_back(fd_of(handle));
    // The objects of the copied memory that own the others are never destroyed here: `forked` does not return.
    die_here(DeathPoint::copy_begins);
    close_known_except(kept);
    install_early_streams(bootstrap.err);
    if (luggage.directory) enter_directory(fd_of(luggage.directory));
    luggage.directory.reset();
    if (request.env) posix::set_environment(*request.env);
    request.forked(std::move(bootstrap));
    exit_now(1);  // it broke its promise not to return
}

void launch_by_fork(const Launch& request, const std::shared_ptr<Watched>& child,
                    std::function<void(ExitStatus)>& on_exit) {
    if (request.forked == nullptr) throw std::invalid_argument("the start method fork needs a function to go on with");
    const std::shared_ptr<ExitWatch> watch = exit_watch();
    ForkLuggage luggage;
    Bootstrap& bootstrap = luggage.bootstrap;
    bootstrap.parent_pid = current_pid();
    bootstrap.parent = duplicate(own_end());
    bootstrap.out = stream_for_child(request.out, STDOUT_FILENO);
    bootstrap.err = stream_for_child(request.err, STDERR_FILENO);
    for (const RawHandle handle : request.handles) bootstrap.handles.push_back(duplicate(handle));
    luggage.door = door_for_child();
    if (luggage.door) luggage.identity = Identity::current();
    if (request.cwd) luggage.directory = open_directory(request.cwd);
    Handle reader;
    if (!has_pidfds()) std::tie(reader, luggage.lifeline) = make_pipe();
    flush_streams();  // else the child has what is in the buffers too
    pid_t pid = -1;
    int error = 0;
    {
        // Signals wait until settle: the copy of the program's handlers is not meant to run in the child.
        SignalBlock block;
        await_parent_watch();
        const auto pause = watch->pause();
        const DescriptorLock lock;
        pid = ::fork();
        error = errno;
        if (pid == 0) {
            block.keep();
            go_on_after_fork(request, luggage);
        }
    }
    if (pid < 0) fail("fork", error);
    die_here(DeathPoint::child_forked);
    child->pid = pid;
    watch_direct_child(*watch, child, std::move(reader), on_exit);
}

}  // namespace

namespace posix {

void watch_direct_child(ExitWatch& watch, const std::shared_ptr<Watched>& child, Handle lifeline,
                        std::function<void(ExitStatus)>& on_exit) {
    try {
        if (has_pidfds()) {
            child->end = open_pidfd(child->pid);
            child->exact = static_cast<bool>(child->end);
            // It has ended already, and the program (or SIGCHLD being ignored) was quicker than this line: a pipe
            // without a writer stands for it, so that there is something that says so.
            if (!child->end) child->end = make_pipe().first;
        } else {
            child->end = std::move(lifeline);
        }
        if (!child->exact) child->start = start_time(static_cast<std::uint32_t>(child->pid));
        child->on_exit = std::move(on_exit);
        watch.add(child);
    } catch (...) {
        abandon_child(child->pid);
        throw;
    }
}

}  // namespace posix

std::vector<StartMethod> start_methods() {
#if defined(__APPLE__)
    // The system's own libraries are not safe to use in a forked copy there.
    return {StartMethod::spawn, StartMethod::forkserver, StartMethod::fork};
#else
    return {StartMethod::forkserver, StartMethod::spawn, StartMethod::fork};
#endif
}

std::unique_ptr<Child> launch(const Launch& request, std::function<void(ExitStatus)> on_exit) {
    // Made first: once the process exists, nothing may fail but what ends it.
    const auto watched = std::make_shared<Watched>();
    auto child = std::make_unique<PosixChild>(watched);
    switch (request.method) {
        case StartMethod::spawn: launch_by_spawn(request, watched, on_exit); return child;
        case StartMethod::fork: launch_by_fork(request, watched, on_exit); return child;
        case StartMethod::forkserver:
            // The server is this executable; another one can only be started afresh.
            if (!request.executable.empty() || !fork_by_server(request, watched, on_exit))
                launch_by_spawn(request, watched, on_exit);
            return child;
        case StartMethod::automatic: break;
    }
    throw std::invalid_argument("this is no start method of this platform");
}

bool is_bootstrap_pending() noexcept { return has_arrived(); }

std::optional<Bootstrap> take_bootstrap(PreloadFunction preload) {
    std::optional<Arrival> arrival = take_arrival();
    if (!arrival) return std::nullopt;
    if (arrival->role == Role::fork_server) return serve(std::move(arrival->bootstrap), preload);
    return std::move(arrival->bootstrap);
}

}  // namespace multiproc::os
