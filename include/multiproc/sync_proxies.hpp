/// @file
/// Locks, semaphores, conditions, events and barriers of a manager.
///
/// ```cpp
/// multiproc::Manager manager;
/// multiproc::LockProxy lock = manager.lock();
/// multiproc::ValueProxy<int> total = manager.value(0);
/// { const std::scoped_lock guard(lock); total.set(total.get() + 1); }
/// ```
///
/// They do what Lock, RLock and their like do (lock.hpp), by calls to the manager's server, so they also work for clients on
/// other machines; on one machine the others are quicker. What a thread holds is free again when it, or its process, has
/// ended. All functions are thread-safe and throw what Proxy::call throws.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <optional>

#include <multiproc/call_options.hpp>
#include <multiproc/condition.hpp>
#include <multiproc/config.hpp>
#include <multiproc/detail/served_sync.hpp>
#include <multiproc/errors.hpp>
#include <multiproc/proxy.hpp>
#include <multiproc/timeout.hpp>

namespace multiproc {

namespace detail {

MULTIPROC_API bool acquire(const Proxy<ServedLock>& lock, bool block, const WireTimeout& timeout);
MULTIPROC_API bool acquire(const Proxy<ServedCondition>& condition, bool block, const WireTimeout& timeout);
MULTIPROC_API void release(const Proxy<ServedLock>& lock);
MULTIPROC_API void release(const Proxy<ServedCondition>& condition);

/// What can be locked; meets TimedLockable.
template <class Object>
class LockableProxy : public Proxy<Object> {
public:
    /// As for Lock: true if this thread has it now.
    bool acquire(bool block = true, std::optional<Timeout> timeout = std::nullopt) const {
        return detail::acquire(*this, block, to_wire(timeout));
    }
    /// Throws std::logic_error if this thread does not hold it.
    void release() const { detail::release(*this); }

    void lock() const { acquire(); }
    bool try_lock() const { return acquire(false); }
    bool try_lock_for(Timeout timeout) const { return acquire(true, timeout); }
    template <class Clock, class Duration>
    bool try_lock_until(const std::chrono::time_point<Clock, Duration>& deadline) const {
        return acquire(true, deadline - Clock::now());
    }
    /// As `release`, for std::scoped_lock and its like, whose destructors must not throw: if the manager is gone, and the
    /// lock with it, it does nothing.
    void unlock() const {
        try {
            release();
        } catch (const ClosedError&) {  // which the next call throws, too
        }
    }

protected:
    using Proxy<Object>::Proxy;
};

class MULTIPROC_API BasicLockProxy : public LockableProxy<ServedLock> {
public:
    bool locked() const;

protected:
    using LockableProxy::LockableProxy;
};

class MULTIPROC_API BasicSemaphoreProxy : public Proxy<ServedSemaphore> {
public:
    /// As for Semaphore.
    bool acquire(bool block = true, std::optional<Timeout> timeout = std::nullopt) const;
    bool try_acquire() const { return acquire(false); }
    bool try_acquire_for(Timeout timeout) const { return acquire(true, timeout); }
    void release(Count count = 1) const;
    std::uint32_t get_value() const;

protected:
    using Proxy::Proxy;
};

}  // namespace detail

class LockProxy final : public detail::BasicLockProxy {
    friend struct detail::ProxyAccess;
    using BasicLockProxy::BasicLockProxy;
};
class RLockProxy final : public detail::BasicLockProxy {
    friend struct detail::ProxyAccess;
    using BasicLockProxy::BasicLockProxy;
};

class SemaphoreProxy final : public detail::BasicSemaphoreProxy {
    friend struct detail::ProxyAccess;
    using BasicSemaphoreProxy::BasicSemaphoreProxy;
};
class BoundedSemaphoreProxy final : public detail::BasicSemaphoreProxy {
    friend struct detail::ProxyAccess;
    using BasicSemaphoreProxy::BasicSemaphoreProxy;
};

class MULTIPROC_API EventProxy final : public Proxy<detail::ServedEvent> {
public:
    bool is_set() const;
    void set() const;
    void clear() const;
    /// As for Event.
    bool wait(std::optional<Timeout> timeout = std::nullopt) const;
    bool wait_for(Timeout timeout) const { return wait(timeout); }

private:
    friend struct detail::ProxyAccess;
    using Proxy::Proxy;
};

class MULTIPROC_API ConditionProxy final : public detail::LockableProxy<detail::ServedCondition> {
public:
    /// As for Condition.
    bool wait(std::optional<Timeout> timeout = std::nullopt) const;
    template <std::predicate Predicate>
    bool wait_for(Predicate predicate, std::optional<Timeout> timeout = std::nullopt) const {
        return detail::wait_until_true(*this, predicate, timeout);
    }
    void notify(Count count = 1) const;
    void notify_all() const { notify(INT64_MAX); }

private:
    friend struct detail::ProxyAccess;
    using LockableProxy::LockableProxy;
};

class MULTIPROC_API BarrierProxy final : public Proxy<detail::ServedBarrier> {
public:
    /// As for Barrier. The barrier breaks, too, when a client that waits ends.
    std::uint32_t wait(std::optional<Timeout> timeout = std::nullopt) const;
    void abort() const;
    void reset() const;
    std::uint32_t parties() const;
    std::uint32_t n_waiting() const;
    bool broken() const;

private:
    friend struct detail::ProxyAccess;
    using Proxy::Proxy;
};

}  // namespace multiproc
