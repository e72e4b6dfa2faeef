#include "descriptors.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <system_error>

#include "platform.hpp"

namespace multiproc::os {

namespace posix {
namespace {

constexpr int lowest_own = 3;  // a host may have closed its standard streams; their numbers are not for us

// Which descriptors are the library's. A copy that the host forked may have inherited the mutex in a locked state, so
// each process uses its own registry, found by the pid.
struct Registry {
    static constexpr std::size_t limit = 65536;  // higher numbers are not known, and stay open in a forked copy

    explicit Registry(std::uint32_t owner) noexcept : pid(owner) {}

    void set(int fd) noexcept {
        if (static_cast<std::size_t>(fd) < limit) word(fd).fetch_or(bit(fd), std::memory_order_relaxed);
    }
    void clear(int fd) noexcept {
        if (static_cast<std::size_t>(fd) < limit) word(fd).fetch_and(~bit(fd), std::memory_order_relaxed);
    }
    std::atomic<std::uint64_t>& word(int fd) noexcept { return words[static_cast<std::size_t>(fd) / 64]; }
    static std::uint64_t bit(int fd) noexcept { return std::uint64_t(1) << (static_cast<unsigned>(fd) % 64); }

    std::atomic<std::uint32_t> pid;
    std::mutex mutex;
    std::array<std::atomic<std::uint64_t>, limit / 64> words{};
    Registry* original = nullptr;  // of the process that this one is a copy of: kept reachable for leak checkers
};

std::atomic<Registry*> current_registry{nullptr};

Registry& registry() {
    Registry* known = current_registry.load(std::memory_order_acquire);
    const std::uint32_t self = current_pid();
    while (known == nullptr || known->pid.load(std::memory_order_relaxed) != self) {
        auto fresh = std::make_unique<Registry>(self);
        fresh->original = known;
        if (known != nullptr) {
            for (std::size_t i = 0; i < known->words.size(); ++i) {
                fresh->words[i].store(known->words[i].load(std::memory_order_relaxed), std::memory_order_relaxed);
            }
        }
        if (current_registry.compare_exchange_strong(known, fresh.get(), std::memory_order_acq_rel)) {
            known = fresh.release();
        }
    }
    return *known;
}

[[maybe_unused]] void close_on_exec(int fd) noexcept { ::fcntl(fd, F_SETFD, FD_CLOEXEC); }

}  // namespace

void fail(const char* what, int error) { throw std::system_error(error, std::generic_category(), what); }

DescriptorLock::DescriptorLock() : lock_(registry().mutex) {}

Handle DescriptorLock::own(int fd, const char* what) {
    if (fd < 0) fail(what);
    if (fd < lowest_own) {
        const int moved = ::fcntl(fd, F_DUPFD_CLOEXEC, lowest_own);
        const int error = errno;
        ::close(fd);
        if (moved < 0) fail(what, error);
        fd = moved;
    }
    registry().set(fd);
    return Handle(fd);
}

Handle DescriptorLock::own_and_close_on_exec(int fd, const char* what) {
    if (fd >= 0) close_on_exec(fd);
    return own(fd, what);
}

std::pair<Handle, Handle> make_pipe() {
    int ends[2];
    DescriptorLock lock;
#if defined(__APPLE__)
    if (::pipe(ends) != 0) fail("pipe");
    close_on_exec(ends[0]);
    close_on_exec(ends[1]);
#else
    if (::pipe2(ends, O_CLOEXEC) != 0) fail("pipe2");
#endif
    Handle reader;
    try {
        reader = lock.own(ends[0], "pipe");
    } catch (...) {
        ::close(ends[1]);
        throw;
    }
    Handle writer;
    try {
        writer = lock.own(ends[1], "pipe");
    } catch (...) {
        // The reader's destructor takes the lock that is held here.
        registry().clear(fd_of(reader));
        ::close(fd_of(reader.release()));
        throw;
    }
    return {std::move(reader), std::move(writer)};
}

std::pair<Handle, Handle> make_socket_pair(int type) {
    int ends[2];
    DescriptorLock lock;
#if defined(__APPLE__)
    if (::socketpair(AF_UNIX, type, 0, ends) != 0) fail("socketpair");
    for (const int end : ends) {
        close_on_exec(end);
        const int on = 1;
        ::setsockopt(end, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
    }
#else
    if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0) fail("socketpair");
#endif
    Handle first;
    try {
        first = lock.own(ends[0], "socketpair");
    } catch (...) {
        ::close(ends[1]);
        throw;
    }
    Handle second;
    try {
        second = lock.own(ends[1], "socketpair");
    } catch (...) {
        registry().clear(fd_of(first));
        ::close(fd_of(first.release()));
        throw;
    }
    return {std::move(first), std::move(second)};
}

Handle duplicate_above(RawHandle raw, int lowest) {
    DescriptorLock lock;
    return lock.own(::fcntl(fd_of(raw), F_DUPFD_CLOEXEC, std::max(lowest, lowest_own)), "fcntl(F_DUPFD_CLOEXEC)");
}

bool is_open(int fd) noexcept { return ::fcntl(fd, F_GETFD) != -1; }

Handle duplicate_or_null(RawHandle fd, int null_flags) {
    if (is_open(fd_of(fd))) return duplicate(fd);
    DescriptorLock lock;
    return lock.own(retry([&] { return ::open("/dev/null", null_flags | O_CLOEXEC); }), "/dev/null");
}

std::vector<int> open_descriptors() {
    std::vector<int> all;
    if (DIR* directory = ::opendir("/dev/fd")) {
        const int own = ::dirfd(directory);
        while (const dirent* entry = ::readdir(directory)) {
            char* end = nullptr;
            const long fd = std::strtol(entry->d_name, &end, 10);
            if (end != entry->d_name && *end == '\0' && fd != own) all.push_back(static_cast<int>(fd));
        }
        ::closedir(directory);
        return all;
    }
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const int end = static_cast<int>(std::min<rlim_t>(limit.rlim_cur, Registry::limit));
    for (int fd = 0; fd < end; ++fd) {
        if (is_open(fd)) all.push_back(fd);
    }
    return all;
}

void keep_known_descriptors() noexcept {
    Registry* const known = current_registry.load(std::memory_order_acquire);
    if (known != nullptr) known->pid.store(current_pid(), std::memory_order_relaxed);
}

void forget_in_copy(int fd) noexcept {
    Registry* const known = current_registry.load(std::memory_order_acquire);
    if (known != nullptr) known->clear(fd);
}

void close_known_except(const std::vector<int>& kept) noexcept {
    Registry& known = registry();
    for (std::size_t i = 0; i < known.words.size(); ++i) {
        if (known.words[i].load(std::memory_order_relaxed) == 0) continue;
        for (int fd = static_cast<int>(i * 64); fd < static_cast<int>(i * 64 + 64); ++fd) {
            if ((known.word(fd).load(std::memory_order_relaxed) & Registry::bit(fd)) == 0) continue;
            if (std::find(kept.begin(), kept.end(), fd) != kept.end()) continue;
            known.clear(fd);
            ::close(fd);
        }
    }
}

}  // namespace posix

void Handle::reset(RawHandle raw) noexcept {
    const RawHandle old = std::exchange(raw_, raw);
    if (old == no_handle) return;
    // Forgotten before it is closed: afterwards the number may be another thread's new descriptor. The lock keeps a
    // fork from coming between the two. On EINTR the descriptor is closed all the same (Linux) or unspecified (POSIX),
    // so trying again could only close somebody else's.
    posix::Registry& known = posix::registry();
    const std::lock_guard lock(known.mutex);
    known.clear(posix::fd_of(old));
    ::close(posix::fd_of(old));
}

Handle duplicate(RawHandle raw) { return posix::duplicate_above(raw, 0); }

std::size_t open_handle_count() { return posix::open_descriptors().size(); }

}  // namespace multiproc::os
