#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <tuple>

#include "context.hpp"
#include "launching.hpp"
#include "platform.hpp"
#include "process_end.hpp"

#if defined(__linux__)
#include <sys/prctl.h>
#else
#include <pthread.h>
#endif

namespace multiproc::os {

namespace {

using namespace posix;

class PosixChild final : public Child {
public:
    explicit PosixChild(std::shared_ptr<Watched> watched) noexcept
        : watched_(std::move(watched)), pid_(static_cast<std::uint32_t>(watched_->pid)) {}

    std::uint32_t pid() const noexcept override { return pid_; }

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
    std::uint32_t pid_;
};

Handle stream_for_child(RawHandle given, int own) {
    return duplicate_or_null(given == no_handle ? static_cast<RawHandle>(own) : given, O_WRONLY);
}

std::shared_ptr<Watched> launch_by_spawn(const Launch& request, std::function<void(ExitStatus)>& on_exit) {
    auto child = std::make_shared<Watched>();
    const std::shared_ptr<ExitWatch> watch =
        exit_watch();  // first, so that a child is never without somebody who reaps it
    Inheritance inheritance;
    inheritance.parent = own_end();
    Handle door;  // a copy: the original may be replaced by another thread meanwhile
    {
        Launching& state = launching();
        const std::lock_guard lock(state.server_mutex);
        if (state.door) door = duplicate(state.door.raw());
    }
    inheritance.door = door.raw();
    Handle reader, writer;
    if (!has_pidfds()) std::tie(reader, writer) = make_pipe();
    inheritance.lifeline = writer.raw();
    inheritance.out = stream_for_child(request.out, STDOUT_FILENO);
    inheritance.err = stream_for_child(request.err, STDERR_FILENO);
    inheritance.handles = request.handles;
    child->pid = posix::spawn(Role::child, request, inheritance);
    watch_direct_child(*child, std::move(reader));
    child->on_exit = std::move(on_exit);
    watch->add(child);
    return child;
}

// What a child made by `fork` takes with it, prepared while an error can still be reported.
struct ForkLuggage {
    Bootstrap bootstrap;
    Handle door, lifeline, directory;
};

[[noreturn]] void go_on_after_fork(const Launch& request, ForkLuggage& luggage) noexcept {
    forget_launching();
    Launching& state = launching();
    state.door = std::move(luggage.door);
    state.lifeline = std::move(luggage.lifeline);
    Bootstrap& bootstrap = luggage.bootstrap;
    std::vector<int> kept{fd_of(state.door),    fd_of(state.lifeline), fd_of(bootstrap.parent),
                          fd_of(bootstrap.out), fd_of(bootstrap.err),  fd_of(luggage.directory)};
    for (const Handle& handle : bootstrap.handles) kept.push_back(fd_of(handle));
    // The objects of the copied memory that own the others are never destroyed here: `forked` does not return.
    close_known_except(kept);
    install_early_streams(bootstrap.err);
    if (luggage.directory) (void)!::fchdir(fd_of(luggage.directory));
    luggage.directory.reset();
    if (request.env) posix::set_environment(*request.env);
    request.forked(std::move(bootstrap));
    exit_now(1);  // it broke its promise not to return
}

std::shared_ptr<Watched> launch_by_fork(const Launch& request, std::function<void(ExitStatus)>& on_exit) {
    if (request.forked == nullptr) throw std::invalid_argument("the start method fork needs a function to go on with");
    auto child = std::make_shared<Watched>();
    const std::shared_ptr<ExitWatch> watch = exit_watch();
    ForkLuggage luggage;
    Bootstrap& bootstrap = luggage.bootstrap;
    bootstrap.parent_pid = current_pid();
    bootstrap.parent = duplicate(own_end());
    bootstrap.out = stream_for_child(request.out, STDOUT_FILENO);
    bootstrap.err = stream_for_child(request.err, STDERR_FILENO);
    for (const RawHandle handle : request.handles) bootstrap.handles.push_back(duplicate(handle));
    {
        Launching& state = launching();
        const std::lock_guard lock(state.server_mutex);
        if (state.door) luggage.door = duplicate(state.door.raw());
    }
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
    child->pid = pid;
    watch_direct_child(*child, std::move(reader));
    child->on_exit = std::move(on_exit);
    watch->add(child);
    return child;
}

void reset_signals(bool keep_hangup_ignored) noexcept {
#if defined(NSIG)
    constexpr int count = NSIG;
#else
    constexpr int count = 65;
#endif
    for (int number = 1; number < count; ++number) {
        if (number == SIGKILL || number == SIGSTOP) continue;
        struct sigaction action {};
        if (::sigaction(number, nullptr, &action) != 0) continue;
        if (number == SIGHUP && keep_hangup_ignored) {
            action.sa_handler = SIG_IGN;
        } else if (action.sa_handler == SIG_DFL) {
            continue;
        } else {
            action = {};
            action.sa_handler = SIG_DFL;
        }
        ::sigaction(number, &action, nullptr);
    }
    sigset_t none;
    sigemptyset(&none);
    ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

void install_stream(Handle& source, int target) noexcept {
    if (!source) return;
    retry([&] { return ::dup2(fd_of(source), target); });
    source.reset();
}

}  // namespace

namespace posix {

void watch_direct_child(Watched& child, Handle lifeline) {
    if (!has_pidfds()) {
        child.end = std::move(lifeline);
        child.start = start_time(static_cast<std::uint32_t>(child.pid));
        return;
    }
    try {
        child.end = open_pidfd(child.pid);
        child.exact = static_cast<bool>(child.end);
        // It has ended already, and the program (or SIGCHLD being ignored) was quicker than this line: a pipe without a
        // writer stands for it, so that there is something that says so.
        if (!child.end) child.end = make_pipe().first;
    } catch (...) {
        abandon_child(child.pid);
        throw;
    }
}

void install_early_streams(const Handle& err) noexcept {
    const int null = retry([] { return ::open("/dev/null", O_RDWR | O_CLOEXEC); });
    if (null >= 0) {
        retry([&] { return ::dup2(null, STDIN_FILENO); });
        retry([&] { return ::dup2(null, STDOUT_FILENO); });
        if (null > STDERR_FILENO) ::close(null);
    }
    if (err) retry([&] { return ::dup2(fd_of(err), STDERR_FILENO); });
}

void set_process_name(const std::string& name) noexcept {
    const std::string shortened = name.substr(0, 15);  // Linux keeps no more
#if defined(__linux__)
    ::prctl(PR_SET_NAME, shortened.c_str());
#elif defined(__APPLE__)
    ::pthread_setname_np(shortened.c_str());
#endif
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
    switch (request.method) {
        case StartMethod::spawn: return std::make_unique<PosixChild>(launch_by_spawn(request, on_exit));
        case StartMethod::fork: return std::make_unique<PosixChild>(launch_by_fork(request, on_exit));
        case StartMethod::forkserver: {
            // The server is this executable; another one can only be started afresh.
            if (!request.executable.empty()) return std::make_unique<PosixChild>(launch_by_spawn(request, on_exit));
            ServerAnswer answer = fork_by_server(request, on_exit);
            if (answer.refused) answer.child = launch_by_spawn(request, on_exit);
            return std::make_unique<PosixChild>(std::move(answer.child));
        }
        case StartMethod::automatic: break;
    }
    throw std::invalid_argument("this is no start method of this platform");
}

bool is_bootstrap_pending() noexcept { return has_arrived(); }

std::optional<Bootstrap> take_bootstrap() {
    std::optional<Arrival> arrival = take_arrival();
    if (!arrival) return std::nullopt;
    if (arrival->role == Role::fork_server) return serve(std::move(arrival->bootstrap));
    return std::move(arrival->bootstrap);
}

void settle(Bootstrap& bootstrap, const std::string& name) {
    bool keep_hangup_ignored = ignores_hangup(bootstrap.context);
    if (bootstrap.context.empty()) {
        struct sigaction hangup {};
        ::sigaction(SIGHUP, nullptr, &hangup);
        keep_hangup_ignored = hangup.sa_handler == SIG_IGN;
    }
    reset_signals(keep_hangup_ignored);
    watch_parent(std::move(bootstrap.parent), static_cast<pid_t>(bootstrap.parent_pid));
    // Foreign descriptors are gone already: spawn lets none through, a fork server has none, and `fork` shares the
    // program's on purpose. Here it would be too late: static initialisers may have opened this child's own.
    apply_context(bootstrap.context);
    bootstrap.context.clear();
    set_process_name(name);
    // What main printed before this line was for nobody: it goes where stdout still leads.
    flush_streams();
    install_stream(bootstrap.out, STDOUT_FILENO);
    install_stream(bootstrap.err, STDERR_FILENO);
}

void exit_now(std::uint32_t code) noexcept { ::_exit(static_cast<int>(code)); }

namespace {

// Writing into a pipe that nobody reads must not kill this process: for its lifetime the signal is held back, and what
// came meanwhile is taken away, as if it had been ignored.
class BrokenPipesAreErrors {
public:
    BrokenPipesAreErrors() noexcept {
        sigemptyset(&broken_);
        sigaddset(&broken_, SIGPIPE);
        was_pending_ = is_pending();
        ::pthread_sigmask(SIG_BLOCK, &broken_, &before_);
    }
    ~BrokenPipesAreErrors() {
        if (!was_pending_ && is_pending()) {
            int number = 0;
            ::sigwait(&broken_, &number);
        }
        ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    BrokenPipesAreErrors(const BrokenPipesAreErrors&) = delete;
    BrokenPipesAreErrors& operator=(const BrokenPipesAreErrors&) = delete;

private:
    static bool is_pending() noexcept {
        sigset_t pending;
        ::sigpending(&pending);
        return sigismember(&pending, SIGPIPE) == 1;
    }

    sigset_t broken_{}, before_{};
    bool was_pending_ = false;
};

}  // namespace

void flush_streams() noexcept {
    const BrokenPipesAreErrors guard;
    for (std::ostream* stream : {&std::cout, &std::cerr, &std::clog}) {
        try {
            stream->flush();
        } catch (...) {  // the program asked for exceptions from this stream
        }
    }
    for (std::wostream* stream : {&std::wcout, &std::wcerr, &std::wclog}) {
        try {
            stream->flush();
        } catch (...) {}
    }
    std::fflush(stdout);
    std::fflush(stderr);
}

void print_error(const std::string& text) noexcept {
    const BrokenPipesAreErrors guard;
    std::fputs(text.c_str(), stderr);
    std::fflush(stderr);
}

}  // namespace multiproc::os
