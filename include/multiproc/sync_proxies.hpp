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
#include <multiproc/detail/served_sync.hpp>
#include <multiproc/proxy.hpp>
#include <multiproc/timeout.hpp>

namespace multiproc {

namespace detail {

/// What can be locked; meets TimedLockable.
template <class Object>
class LockableProxy : public Proxy<Object> {
public:
    /// As for Lock: true if this thread has it now.
    bool acquire(bool block = true, std::optional<Timeout> timeout = std::nullopt) const {
        return this->template call<&Object::acquire>(block, to_wire(timeout));
    }
    /// Throws std::logic_error if this thread does not hold it.
    void release() const { this->template call<&Object::release>(); }

    void lock() const { acquire(); }
    bool try_lock() const { return acquire(false); }
    bool try_lock_for(Timeout timeout) const { return acquire(true, timeout); }
    template <class Clock, class Duration>
    bool try_lock_until(const std::chrono::time_point<Clock, Duration>& deadline) const {
        return acquire(true, deadline - Clock::now());
    }
    void unlock() const { release(); }

protected:
    using Proxy<Object>::Proxy;
};

class BasicLockProxy : public LockableProxy<ServedLock> {
public:
    bool locked() const { return call<&ServedLock::locked>(); }

protected:
    using LockableProxy::LockableProxy;
};

class BasicSemaphoreProxy : public Proxy<ServedSemaphore> {
public:
    /// As for Semaphore.
    bool acquire(bool block = true, std::optional<Timeout> timeout = std::nullopt) const {
        return call<&ServedSemaphore::acquire>(block, to_wire(timeout));
    }
    bool try_acquire() const { return acquire(false); }
    bool try_acquire_for(Timeout timeout) const { return acquire(true, timeout); }
    void release(Count count = 1) const { call<&ServedSemaphore::release>(count.value()); }
    std::uint32_t get_value() const { return static_cast<std::uint32_t>(call<&ServedSemaphore::value>()); }

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

class EventProxy final : public Proxy<detail::ServedEvent> {
public:
    bool is_set() const { return call<&Object::is_set>(); }
    void set() const { call<&Object::set>(); }
    void clear() const { call<&Object::clear>(); }
    /// As for Event.
    bool wait(std::optional<Timeout> timeout = std::nullopt) const {
        return call<&Object::wait>(detail::to_wire(timeout));
    }
    bool wait_for(Timeout timeout) const { return wait(timeout); }

private:
    friend struct detail::ProxyAccess;
    using Proxy::Proxy;
};

class ConditionProxy final : public detail::LockableProxy<detail::ServedCondition> {
public:
    /// As for Condition.
    bool wait(std::optional<Timeout> timeout = std::nullopt) const {
        return call<&Object::wait>(detail::to_wire(timeout));
    }
    template <std::predicate Predicate>
    bool wait_for(Predicate predicate, std::optional<Timeout> timeout = std::nullopt) const {
        const auto begin = std::chrono::steady_clock::now();
        while (!predicate()) {
            std::optional<Timeout> left;
            if (timeout) {
                const std::chrono::nanoseconds passed = std::chrono::steady_clock::now() - begin;
                if (passed >= std::chrono::nanoseconds(*timeout)) return false;
                left = std::chrono::nanoseconds(*timeout) - passed;
            }
            wait(left);
        }
        return true;
    }
    void notify(Count count = 1) const { call<&Object::notify>(count.value()); }
    void notify_all() const { notify(INT64_MAX); }

private:
    friend struct detail::ProxyAccess;
    using LockableProxy::LockableProxy;
};

class BarrierProxy final : public Proxy<detail::ServedBarrier> {
public:
    /// As for Barrier. The barrier breaks, too, when a client that waits ends.
    std::uint32_t wait(std::optional<Timeout> timeout = std::nullopt) const {
        return call<&Object::wait>(detail::to_wire(timeout));
    }
    void abort() const { call<&Object::abort>(); }
    void reset() const { call<&Object::reset>(); }
    std::uint32_t parties() const { return call<&Object::parties>(); }
    std::uint32_t n_waiting() const { return call<&Object::waiting>(); }
    bool broken() const { return call<&Object::is_broken>(); }

private:
    friend struct detail::ProxyAccess;
    using Proxy::Proxy;
};

}  // namespace multiproc
