// Becoming a proper child, and ending as one.
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <utility>

#include "../streams.hpp"
#include "context.hpp"
#include "launching.hpp"
#include "process_end.hpp"

#if defined(__linux__)
#include <sys/prctl.h>
#else
#include <pthread.h>
#endif

namespace multiproc::os {

namespace posix {

void enter_directory(int directory) noexcept {
    if (::fchdir(directory) == 0) return;
    print_error(std::string("multiproc: this child process cannot enter its directory: ") + std::strerror(errno) +
                "\n");
    exit_now(1);
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

void install_error_stream(Handle err) noexcept {
    if (err) retry([&] { return ::dup2(fd_of(err), STDERR_FILENO); });
}

namespace {

void set_disposition(int number, void (*action)(int)) noexcept {
    struct sigaction what {};
    what.sa_handler = action;
    ::sigaction(number, &what, nullptr);
}

// `changed`: those whose disposition may not be the default.
void reset_signals(const std::vector<int>& changed, bool keep_hangup_ignored) noexcept {
    for (const int number : changed) {
        if (number != SIGHUP || !keep_hangup_ignored) set_disposition(number, SIG_DFL);
    }
    if (keep_hangup_ignored) set_disposition(SIGHUP, SIG_IGN);
    sigset_t none;
    sigemptyset(&none);
    ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

bool is_prepared = false;  // a spare child, before it settles

}  // namespace

void prepare_child(Bootstrap& bootstrap) {
    reset_signals(noted_signals(), false);
    watch_parent(std::move(bootstrap.parent), static_cast<pid_t>(bootstrap.parent_pid));
    is_prepared = true;
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

namespace {

using namespace posix;

// The server may have been killed before it could reply, and the client have asked the next one for the same child: only
// the one whose reply arrived is told to go on. Nothing of it can be seen from outside before that.
void await_permission(Handle& go) noexcept {
    char byte = 0;
    if (retry([&] { return ::read(fd_of(go), &byte, 1); }) != 1) exit_now(0);
    go.reset();
}

void install_stream(Handle& source, int target) noexcept {
    if (!source) return;
    retry([&] { return ::dup2(fd_of(source), target); });
    source.reset();
}

}  // namespace

void settle(Bootstrap& bootstrap, const std::string& name) {
    bool keep_hangup_ignored = ignores_hangup(bootstrap.context);
    if (bootstrap.context.empty()) {
        struct sigaction hangup {};
        ::sigaction(SIGHUP, nullptr, &hangup);
        keep_hangup_ignored = hangup.sa_handler == SIG_IGN;
    }
    const bool is_served = !bootstrap.context.empty();  // forked by a server
    if (!std::exchange(is_prepared, false)) {           // what this process may fork has it all to do
        reset_signals(is_served ? noted_signals() : changed_signals(), keep_hangup_ignored);
        watch_parent(std::move(bootstrap.parent), static_cast<pid_t>(bootstrap.parent_pid));
    } else if (keep_hangup_ignored) {
        set_disposition(SIGHUP, SIG_IGN);
    }
    // Foreign descriptors are gone already: spawn lets none through, a fork server has none, and `fork` shares the
    // program's on purpose. Here it would be too late: static initialisers may have opened this child's own.
    apply_context(bootstrap.context);
    bootstrap.context.clear();
    set_process_name(name);
    // What main printed before this line was for nobody: it goes where stdout still leads. A server has done that.
    if (!is_served) flush_streams();
    if (bootstrap.control) await_permission(bootstrap.control);
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
        ::pthread_sigmask(SIG_BLOCK, &broken_, &before_);
        // Where it was not blocked it cannot have been pending: it would have arrived.
        was_pending_ = sigismember(&before_, SIGPIPE) == 1 && is_pending();
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
    flush_iostreams();
    std::fflush(stdout);
    std::fflush(stderr);
}

void print_error(const std::string& text) noexcept {
    const BrokenPipesAreErrors guard;
    std::fputs(text.c_str(), stderr);
    std::fflush(stderr);
}

}  // namespace multiproc::os
