#include "leash.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <exception>

#include "launching.hpp"
#include "platform.hpp"
#include "process_end.hpp"

namespace multiproc::os::posix {

#if MULTIPROC_LINUX_CALLS

namespace {

// What the handler of fork needs, without a lock: which descriptor is the writing end, and which pipe that is.
struct OwnWriter {
    std::atomic<int> fd{-1};
    std::atomic<ino_t> number{0};
};
OwnWriter own_writer;

std::atomic<std::uint32_t> leashed{0};  // the pid of the process that is

bool leads_to_own_pipe(int fd) noexcept {
    struct stat facts {};
    // The program may have closed it, and have another file under this number.
    return ::fstat(fd, &facts) == 0 && S_ISFIFO(facts.st_mode) && facts.st_ino == own_writer.number.load();
}

void drop_in_copy() noexcept {
    const int fd = own_writer.fd.exchange(-1);
    if (fd < 0 || !leads_to_own_pipe(fd)) return;
    forget_in_copy(fd);
    ::close(fd);
}

// Once per program: copies inherit the handler.
bool will_be_dropped_in_copies() noexcept {
    static std::atomic<bool> registered{false};
    if (registered.load()) return true;
    // Two threads may both come here; the handler does no harm if it is registered twice.
    if (::pthread_atfork(nullptr, nullptr, drop_in_copy) != 0) return false;
    registered = true;
    return true;
}

}  // namespace

std::optional<Leash> own_leash() {
    if (!has_pidfds() || !will_be_dropped_in_copies()) return std::nullopt;
    Launching& state = launching();
    const std::lock_guard lock(state.mutex);
    if (!state.leash_writer || !leads_to_own_pipe(fd_of(state.leash_writer)) ||
        !leads_to_own_pipe(fd_of(state.leash_reader))) {
        // The program has closed one: the children that are on it have the server's.
        if (state.leash_writer && leads_to_own_pipe(fd_of(state.leash_writer))) return std::nullopt;
        state.leash_reader.release();
        state.leash_writer.release();
        auto [reader, writer] = make_pipe();
        struct stat facts {};
        ::fstat(fd_of(writer), &facts);
        own_writer.number = facts.st_ino;
        own_writer.fd = fd_of(writer);
        state.leash_reader = std::move(reader);
        state.leash_writer = std::move(writer);
    }
    return Leash{state.leash_reader.raw(), state.leash_writer.raw()};
}

// Made by the server, since each child would have the pages that number formatting touches to itself.
std::string leash_name(const Handle& reader) {
    return reader ? "/proc/self/fd/" + std::to_string(fd_of(reader)) : std::string();
}

bool hold_leash(const std::string& name) noexcept {
    if (name.empty()) return false;
    try {
        DescriptorLock lock;
        // Released, as it is kept to the end of the process.
        const int fd =
            fd_of(lock.own(retry([&] { return ::open(name.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC); }), "the leash")
                      .release());
        if (::fcntl(fd, F_SETSIG, SIGKILL) != 0 || ::fcntl(fd, F_SETOWN, ::getpid()) != 0 ||
            ::fcntl(fd, F_SETFL, O_ASYNC | O_NONBLOCK) != 0) {
            return false;
        }
        // If that was too late to be told.
        pollfd entry{fd, POLLIN, 0};
        if (retry([&] { return ::poll(&entry, 1, 0); }) != 0) ::kill(::getpid(), SIGKILL);
    } catch (const std::exception&) { return false; }
    leashed.store(current_pid(), std::memory_order_relaxed);
    return true;
}

bool is_leashed() noexcept { return leashed.load(std::memory_order_relaxed) == current_pid(); }

#else

std::optional<Leash> own_leash() { return std::nullopt; }
std::string leash_name(const Handle&) { return {}; }
bool hold_leash(const std::string&) noexcept { return false; }
bool is_leashed() noexcept { return false; }

#endif

}  // namespace multiproc::os::posix
