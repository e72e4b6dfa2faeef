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

Identity Identity::current() noexcept {
    return {{static_cast<long>(::getuid()), static_cast<long>(::geteuid()), static_cast<long>(::getgid()),
             static_cast<long>(::getegid()), static_cast<long>(::getpgrp()), static_cast<long>(::getsid(0))}};
}

Launching& launching() {
    Launching* known = current_launching.load(std::memory_order_acquire);
    if (known != nullptr && known->pid == ::getpid()) return *known;
    if (known != nullptr) {
        replace_launching();  // the host forked this process and has no other thread here yet
        return *current_launching.load(std::memory_order_acquire);
    }
    auto fresh = std::make_unique<Launching>(::getpid());
    if (current_launching.compare_exchange_strong(known, fresh.get(), std::memory_order_acq_rel)) {
        known = fresh.release();
    }
    return *known;
}

void replace_launching() noexcept {
    Launching* const original = current_launching.load(std::memory_order_acquire);
    if (original == nullptr) return;
    // Its mutexes may be locked by threads that do not exist here, and its thread objects have no threads: it is left
    // as it is, but for the descriptors, which would keep others from seeing the original's end.
    for (Handle* handle : {&original->end, &original->end_writer, &original->door, &original->lifeline})
        handle->reset();
    if (original->watch) original->watch->close_descriptors();
    if (original->server.connection) original->server.connection->close_descriptors();
    for (const Launching::Server& server : original->retired) server.connection->close_descriptors();
    auto* const fresh = new Launching(::getpid());
    fresh->original = original;
    current_launching.store(fresh, std::memory_order_release);
}

std::shared_ptr<ExitWatch> exit_watch() {
    Launching& state = launching();
    const std::lock_guard lock(state.mutex);
    if (!state.watch) state.watch = std::make_shared<ExitWatch>();
    return state.watch;
}

RawHandle own_end() {
    Launching& state = launching();
    const std::lock_guard lock(state.mutex);
    if (!state.end) {
        if (has_pidfds()) {
            state.end = open_pidfd(::getpid());
        } else {
            std::tie(state.end, state.end_writer) = make_pipe();
        }
    }
    return state.end.raw();
}

void abandon_child(pid_t pid) noexcept {
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
