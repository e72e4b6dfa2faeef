// For objects in a manager's server that clients wait for. Internal.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>

#include <multiproc/config.hpp>
#include <multiproc/timeout.hpp>

namespace multiproc::detail {

/// A time limit as it travels: nanoseconds.
using WireTimeout = std::optional<std::int64_t>;
inline WireTimeout to_wire(const std::optional<Timeout>& timeout) {
    return timeout ? WireTimeout(timeout->count()) : std::nullopt;
}

/// Which client's call this thread is answering; another number for each thread of each client, never 0. Throws
/// std::logic_error elsewhere than in a server.
MULTIPROC_API std::uint64_t current_client();

/// A mutex, and a way to wait under it that ends when nobody is interested any more.
class MULTIPROC_API Monitor {
public:
    using Lock = std::unique_lock<std::mutex>;
    using Deadline = std::chrono::steady_clock::time_point;

    Lock lock() const { return Lock(mutex_); }
    void notify_all() const noexcept { changed_.notify_all(); }

    /// Throws ClosedError when the client whose call this is has ended, or the server is about to.
    static void require_client();
    /// For a call with Python's two arguments.
    static Deadline deadline_of(bool block, const WireTimeout& timeout) noexcept;

    /// Waits until `predicate()`, at most until the deadline, and returns what it said last. Throws as `require_client`.
    template <class Predicate>
    bool wait(Lock& lock, Deadline deadline, Predicate predicate) const {
        while (!predicate())
            if (!wait_a_little(lock, deadline)) return predicate();
        return true;
    }

private:
    /// False at the deadline.
    bool wait_a_little(Lock& lock, Deadline deadline) const;

    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
};

}  // namespace multiproc::detail
