/// @file
/// Locks that processes and threads share.
///
/// ```cpp
/// void add(multiproc::Lock lock, multiproc::RawValue<int> total, int amount) {
///     const std::scoped_lock guard(lock);
///     *total += amount;
/// }
///
/// multiproc::Lock lock;
/// multiproc::RawValue<int> total(0);
/// multiproc::Process process(add, lock, total, 5);
/// ```
///
/// A Lock is a handle: copies refer to the same lock, in this process and in every other one that was given it, as an
/// argument or result of a task, inside containers and aggregates, under every start method. The last handle of all
/// processes takes the lock with it.
///
/// If a process dies while one of its threads holds a lock, whoever wants it next gets it, within 50 ms, and `owner_died()`
/// says that what it guards may be half-changed.
///
/// All functions are thread-safe, throw ClosedError in a copy of the program that the host forked, and StartError when
/// more than 1024 threads of the program wait at once.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

#include <multiproc/config.hpp>
#include <multiproc/detail/shared_handle.hpp>
#include <multiproc/timeout.hpp>

namespace multiproc {

namespace detail {

/// What both kinds of locks have; meets TimedLockable, so `std::unique_lock`, `std::scoped_lock` and
/// `std::condition_variable_any` work with them. They are const, since they change the lock and not the handle.
class MULTIPROC_API BasicLock : public SharedHandle {
public:
    /// Waits until it is free, then takes it.
    void lock() const;
    /// Takes it if it is free, or if its owner has died. Never waits.
    bool try_lock() const { return try_lock_for(std::chrono::nanoseconds::zero()); }
    /// Waits at most `timeout`; zero or negative only tries. Returns whether this thread has it now.
    bool try_lock_for(Timeout timeout) const;
    /// The same until a point in time, of any clock.
    template <class Clock, class Duration>
    bool try_lock_until(const std::chrono::time_point<Clock, Duration>& deadline) const {
        do {
            if (try_lock_for(deadline - Clock::now())) return true;
        } while (Clock::now() < deadline);
        return false;
    }
    /// Gives it up. Throws std::logic_error if this thread does not hold it.
    void unlock() const;

    /// Python's names: `acquire(false)` only tries, a timeout is the longest wait. Returns whether this thread has it.
    bool acquire(bool block = true, std::optional<Timeout> timeout = std::nullopt) const;
    void release() const { unlock(); }

    /// Whether some thread holds it.
    bool locked() const;
    /// Whether a process died while it held the lock, and nobody has called `make_consistent` since.
    bool owner_died() const;
    /// Says that what the lock guards is sound again. Throws std::logic_error if this thread does not hold it.
    void make_consistent() const;

    static std::size_t state_size() noexcept;

protected:
    BasicLock(ObjectRef object, bool is_recursive) noexcept
        : SharedHandle(std::move(object)), is_recursive_(is_recursive) {}
    BasicLock(const BasicLock&) noexcept = default;
    BasicLock& operator=(const BasicLock&) noexcept = default;
    ~BasicLock() = default;

private:
    bool is_recursive_;
};

}  // namespace detail

/// A lock that its owner can take once. To lock it again in the thread that holds it throws std::system_error
/// (std::errc::resource_deadlock_would_occur) instead of waiting for ever.
/// Source: Python's `multiprocessing.Lock`; but a lock is released by who holds it, only.
class MULTIPROC_API Lock final : public detail::BasicLock {
public:
    /// A new lock, free. Throws std::bad_alloc or std::system_error if there is no shared memory left, BootstrapError
    /// without `freeze_support()`.
    Lock();

    static constexpr detail::ObjectKind kind = detail::ObjectKind::lock;

private:
    friend struct detail::HandleAccess;
    Lock(detail::OfObject, detail::ObjectRef object) noexcept : BasicLock(std::move(object), false) {}
};

/// A lock that its owner can take several times; it is free when it was given up as often.
/// Source: Python's `multiprocessing.RLock`.
class MULTIPROC_API RLock final : public detail::BasicLock {
public:
    /// As for Lock.
    RLock();

    static constexpr detail::ObjectKind kind = detail::ObjectKind::recursive_lock;

private:
    friend struct detail::HandleAccess;
    RLock(detail::OfObject, detail::ObjectRef object) noexcept : BasicLock(std::move(object), true) {}
};

}  // namespace multiproc

namespace multiproc::detail::codec {
template <>
struct Coder<Lock> : HandleCoder<Lock> {};
template <>
struct Coder<RLock> : HandleCoder<RLock> {};
}  // namespace multiproc::detail::codec
