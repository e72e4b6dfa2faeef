/// @file
/// A queue of a manager.
///
/// ```cpp
/// multiproc::Manager manager;
/// multiproc::QueueProxy<std::string> jobs = manager.queue<std::string>(10);   // ten at most
/// jobs.put("build");
/// const std::string job = jobs.get();
/// jobs.task_done();
/// jobs.join();
/// ```
///
/// It does what JoinableQueue does (queue.hpp), by calls to the manager's server, so also for clients on other machines; on
/// one machine that is quicker.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <stdexcept>
#include <utility>

#include <multiproc/call_options.hpp>
#include <multiproc/detail/monitor.hpp>
#include <multiproc/proxy.hpp>
#include <multiproc/queue.hpp>
#include <multiproc/timeout.hpp>

namespace multiproc {

namespace detail {

template <class T>
class ServedQueue {
public:
    explicit ServedQueue(std::int64_t max_size) : max_size_(max_size) {}

    bool put(T item, bool block, WireTimeout timeout) {
        Monitor::Lock lock = monitor_.lock();
        const auto has_room = [&] { return max_size_ <= 0 || items_.size() < static_cast<std::uint64_t>(max_size_); };
        if (!monitor_.wait(lock, Monitor::deadline_of(block, timeout), has_room)) return false;
        items_.push_back(std::move(item));
        ++unfinished_;
        monitor_.notify_all();
        return true;
    }
    std::optional<T> get(bool block, WireTimeout timeout) {
        Monitor::Lock lock = monitor_.lock();
        if (!monitor_.wait(lock, Monitor::deadline_of(block, timeout), [&] { return !items_.empty(); }))
            return std::nullopt;
        // Nobody would get what a client that has ended took.
        Monitor::require_client();
        T item = std::move(items_.front());
        items_.pop_front();
        monitor_.notify_all();
        return item;
    }
    std::uint64_t size() const {
        const Monitor::Lock lock = monitor_.lock();
        return items_.size();
    }
    std::int64_t max_size() const { return max_size_; }
    void task_done() {
        const Monitor::Lock lock = monitor_.lock();
        if (unfinished_ == 0)
            throw std::logic_error("multiproc: task_done() was called more often than items were put");
        if (--unfinished_ == 0) monitor_.notify_all();
    }
    bool join(WireTimeout timeout) {
        Monitor::Lock lock = monitor_.lock();
        return monitor_.wait(lock, Monitor::deadline_of(true, timeout), [&] { return unfinished_ == 0; });
    }

private:
    std::int64_t max_size_;
    Monitor monitor_;
    std::deque<T> items_;
    std::uint64_t unfinished_ = 0;
};

}  // namespace detail

template <class T>
inline constexpr auto methods<detail::ServedQueue<T>> = [] {
    using Queue = detail::ServedQueue<T>;
    return method_list(concurrent_method<&Queue::put>("put"), concurrent_method<&Queue::get>("get"),
                       concurrent_method<&Queue::size>("size"), concurrent_method<&Queue::max_size>("max_size"),
                       concurrent_method<&Queue::task_done>("task_done"), concurrent_method<&Queue::join>("join"));
}();

/// All functions are thread-safe, do what those of JoinableQueue do, and throw what Proxy::call throws.
/// Source: Python's `SyncManager.Queue`.
template <class T>
class QueueProxy final : public Proxy<detail::ServedQueue<T>> {
    using Base = Proxy<detail::ServedQueue<T>>;
    using Served = detail::ServedQueue<T>;

public:
    void put(const T& item, bool block = true, std::optional<Timeout> timeout = std::nullopt) const {
        if (!send(item, block, timeout)) detail::throw_queue_full(block);
    }
    void put_nowait(const T& item) const { put(item, false); }
    bool try_put(const T& item) const { return send(item, false, {}); }
    bool try_put_for(const T& item, Timeout timeout) const { return send(item, true, timeout); }

    T get(bool block = true, std::optional<Timeout> timeout = std::nullopt) const {
        std::optional<T> item = take(block, timeout);
        if (!item) detail::throw_queue_empty(block);
        return *std::move(item);
    }
    T get_nowait() const { return get(false); }
    std::optional<T> try_get() const { return take(false, {}); }
    std::optional<T> try_get_for(Timeout timeout) const { return take(true, timeout); }

    std::size_t qsize() const { return static_cast<std::size_t>(this->template call<&Served::size>()); }
    bool empty() const { return qsize() == 0; }
    bool full() const {
        const std::int64_t limit = this->template call<&Served::max_size>();
        return limit > 0 && qsize() >= static_cast<std::uint64_t>(limit);
    }

    void task_done() const { this->template call<&Served::task_done>(); }
    void join() const { this->template call<&Served::join>(detail::WireTimeout()); }
    bool join_for(Timeout timeout) const { return this->template call<&Served::join>(detail::to_wire(timeout)); }

private:
    friend struct detail::ProxyAccess;
    using Base::Base;
    bool send(const T& item, bool block, std::optional<Timeout> timeout) const {
        return this->template call<&Served::put>(item, block, detail::to_wire(timeout));
    }
    std::optional<T> take(bool block, std::optional<Timeout> timeout) const {
        return this->template call<&Served::get>(block, detail::to_wire(timeout));
    }
};

}  // namespace multiproc
