#include "launching.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <tuple>

#include "process_end.hpp"

namespace multiproc::os {

namespace posix {
namespace {

std::atomic<Launching*> current_launching{nullptr};

}  // namespace

Launching& launching() {
    Launching* known = current_launching.load(std::memory_order_acquire);
    if (known != nullptr && known->pid == current_pid()) return *known;
    if (known != nullptr) {
        replace_launching();  // the host forked this process and has no other thread here yet
        return *current_launching.load(std::memory_order_acquire);
    }
    auto fresh = std::make_unique<Launching>(current_pid());
    if (current_launching.compare_exchange_strong(known, fresh.get(), std::memory_order_acq_rel)) {
        known = fresh.release();
    }
    return *known;
}

void replace_launching() noexcept {
    Launching* const original = current_launching.load(std::memory_order_acquire);
    if (original == nullptr) return;
    // Its thread objects have no threads here: it is left as it is, but for the descriptors, which would keep others from
    // seeing the original's end. What a thread that does not exist here was about to change cannot be looked at.
    original->lifeline.reset();
    if (const std::unique_lock lock(original->mutex, std::try_to_lock); lock) {
        original->end.reset();
        original->end_writer.reset();
        original->leash_reader.reset();
        original->leash_writer.release();  // closed by the handler of fork
        if (original->watch) original->watch->close_descriptors();
    }
    if (const std::unique_lock lock(original->server_mutex, std::try_to_lock); lock) {
        const auto close = [](Launching::Server& server) {
            server.door.reset();
            if (server.connection) server.connection->close_descriptors();
        };
        close(original->server);
        for (Launching::Server& server : original->retired) close(server);
    }
    auto* const fresh = new Launching(current_pid());
    fresh->original = original;
    current_launching.store(fresh, std::memory_order_release);
}

std::shared_ptr<ExitWatch> exit_watch() {
    Launching& state = launching();
    const std::lock_guard lock(state.mutex);
    if (!state.watch) state.watch = std::make_shared<ExitWatch>();
    return state.watch;
}

void abandon_server(const ServerConnection& server) noexcept {
    Launching& state = launching();
    const std::lock_guard lock(state.mutex);
    if (state.watch) state.watch->abandon(server);
}

RawHandle own_end() {
    Launching& state = launching();
    const std::lock_guard lock(state.mutex);
    if (!state.end || !is_open(fd_of(state.end))) {  // the program may have closed it behind our back
        state.end.release();
        if (has_pidfds()) {
            state.end = open_pidfd(::getpid());
        } else {
            std::tie(state.end, state.end_writer) = make_pipe();
        }
    }
    return state.end.raw();
}

void abandon_child(pid_t pid) noexcept {
    // Only while it is a child of ours is the pid its own: the program may have reaped it already.
    siginfo_t info{};
    if (retry([&] { return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT); }) != 0) return;
    ::kill(pid, SIGKILL);
    retry([&] { return ::waitpid(pid, nullptr, 0); });
}

}  // namespace posix

void forget_launching() noexcept { posix::replace_launching(); }

void shut_down_launching() noexcept {
    posix::Launching& state = posix::launching();
    const auto servers = posix::shut_down_servers(state);
    std::shared_ptr<posix::ExitWatch> watch;
    {
        const std::lock_guard lock(state.mutex);
        watch = std::move(state.watch);
    }
    if (watch) watch->stop();  // waits for its thread, which may need the mutex
    for (const auto& server : servers) {
        if (!server->ended) posix::retry([&] { return ::waitpid(server->pid, nullptr, 0); });
    }
}

}  // namespace multiproc::os
