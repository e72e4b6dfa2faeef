// The locks of a manager's server, and their like: what the proxies in sync_proxies.hpp call. Internal.
//
// Whoever takes a lock is a client's thread. When that is gone, however it ended, its locks are free.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>

#include <multiproc/detail/monitor.hpp>
#include <multiproc/proxy.hpp>

namespace multiproc::detail {

class MULTIPROC_API ServedLock : public Holdable {
public:
    explicit ServedLock(bool is_recursive) noexcept : is_recursive_(is_recursive) {}
    bool acquire(bool block, WireTimeout timeout);
    void release();
    bool locked();
    void client_gone(std::uint64_t client) noexcept;

    /// For a condition: gives it up however often this client has taken it, and takes it again as often.
    std::uint32_t release_wholly();
    void acquire_again(std::uint32_t depth);
    void require_held(const char* what);

private:
    bool is_recursive_;
    Monitor monitor_;
    std::uint64_t owner_ = 0;
    std::uint32_t depth_ = 0;
};

class MULTIPROC_API ServedSemaphore {
public:
    ServedSemaphore(std::int64_t value, bool is_bounded);
    bool acquire(bool block, WireTimeout timeout);
    void release(std::int64_t count);
    std::int64_t value();

private:
    bool is_bounded_;
    std::int64_t limit_, value_;
    Monitor monitor_;
};

class MULTIPROC_API ServedEvent {
public:
    bool is_set();
    void set();
    void clear();
    bool wait(WireTimeout timeout);

private:
    Monitor monitor_;
    std::uint64_t times_set_ = 0;
    bool is_set_ = false;
};

class MULTIPROC_API ServedCondition : public Holdable {
public:
    ServedCondition();
    explicit ServedCondition(Proxy<ServedLock> lock);
    bool acquire(bool block, WireTimeout timeout) { return lock().acquire(block, timeout); }
    void release() { lock().release(); }
    bool wait(WireTimeout timeout);
    void notify(std::int64_t count);
    void client_gone(std::uint64_t client) noexcept;

private:
    struct Waiter {
        bool is_notified = false;
    };
    ServedLock& lock() noexcept { return given_ != nullptr ? *given_ : own_; }
    void notify_locked(std::int64_t count);

    ServedLock own_;
    std::optional<Proxy<ServedLock>> proxy_;  // keeps it
    std::shared_ptr<ServedLock> given_;       // is there as long as this, also when all objects are let go of at once
    Monitor monitor_;
    std::list<Waiter> waiters_;  // the first one has waited longest
};

class MULTIPROC_API ServedBarrier {
public:
    ServedBarrier(std::int64_t parties, WireTimeout timeout);
    std::uint32_t wait(WireTimeout timeout);
    void abort();
    void reset();
    std::uint32_t parties() const noexcept { return parties_; }
    std::uint32_t waiting();
    bool is_broken();

private:
    struct Round {
        bool is_over = false;
        bool is_broken = false;
    };
    void end_round_locked(bool is_broken);
    void abort_locked();

    std::uint32_t parties_;
    WireTimeout timeout_;
    Monitor monitor_;
    std::shared_ptr<Round> round_ = std::make_shared<Round>();
    std::uint32_t arrived_ = 0;
    bool is_broken_ = false;
};

}  // namespace multiproc::detail
