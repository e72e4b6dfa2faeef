/// @file
/// A process that keeps objects for others: dicts, lists, locks, and objects of your own classes.
///
/// ```cpp
/// void worker(int number, multiproc::DictProxy<int, int> results) { results[number] = number; }
///
/// int main() {
///     multiproc::freeze_support();
///     multiproc::Manager manager;
///     auto results = manager.dict<int, int>();
///     std::vector<multiproc::Process<void>> jobs;
///     for (int i = 0; i < 5; ++i) jobs.emplace_back(worker, i, results).start();
///     for (auto& job : jobs) job.join();
///     std::cout << results << '\n';                 // {0: 0, 1: 1, 2: 2, 3: 3, 4: 4}
/// }
/// ```
///
/// What it makes are proxies (proxy.hpp): handles to the objects, which travel to any process. Queue, Lock, Value and their
/// like do without a manager, and are quicker; a manager is for what has structure, and for clients on other machines.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <multiproc/any.hpp>
#include <multiproc/call_options.hpp>
#include <multiproc/config.hpp>
#include <multiproc/detail/task.hpp>
#include <multiproc/dict_proxy.hpp>
#include <multiproc/list_proxy.hpp>
#include <multiproc/namespace_proxy.hpp>
#include <multiproc/proxy.hpp>
#include <multiproc/queue_proxy.hpp>
#include <multiproc/start_method.hpp>
#include <multiproc/sync_proxies.hpp>
#include <multiproc/timeout.hpp>
#include <multiproc/value_proxies.hpp>

namespace multiproc {

/// What can be chosen for a manager.
struct ManagerOptions {
    std::string name = "Manager";                       ///< of its process
    StartMethod start_method = StartMethod::automatic;  ///< see start_method.hpp
};

namespace detail {

/// A task that is run in a server.
class MULTIPROC_API ServerRun {
public:
    ServerRun(const ProxyTarget& server, TaskTarget task);
    OutputBuffer& message() noexcept { return call_; }
    /// Between the callable and its arguments.
    void callable_written() noexcept;
    /// Makes the call, and returns the encoded result. Throws what the task threw, and ClosedError.
    InputBuffer& perform();

private:
    const ProxyTarget& server_;
    QueueWriter call_;
    std::size_t fields_ = 0;  // where their number of bytes is
    QueueMessage answer_;
    InputBuffer result_;
};

}  // namespace detail

/// A server process and the objects in it. All functions but moving and `shutdown` are thread-safe; what they throw is
/// ClosedError after a shutdown or when the server has died, and what the constructors of the objects throw.
///
/// It belongs to the process that made it, and ends with it. The server ignores Ctrl+C. In a copy of the program that the
/// host forked every use throws ClosedError.
/// Source: Python's `multiprocessing.Manager`.
class MULTIPROC_API Manager {
public:
    /// Starts the server, and returns when it is ready. Throws BootstrapError without `freeze_support()`, StartError if the
    /// system refuses.
    explicit Manager(ManagerOptions options = {});
    /// As `shutdown`.
    ~Manager();
    Manager(Manager&&) noexcept = default;
    Manager& operator=(Manager&& other) noexcept;

    /// Ends the server, and with it all that it held: proxies throw ClosedError from then on. Objects that no call is using
    /// are destroyed. Takes bounded time. A second one does nothing.
    void shutdown() noexcept;
    /// Of the server's process; 0 after a shutdown.
    std::uint32_t pid() const;

    /// A dict, empty or of these items. `manager.dict()` takes keys and values of any kind, as Any.
    template <class K = Any, class V = Any>
    DictProxy<K, V> dict(const std::vector<std::pair<K, V>>& items = {}) const {
        return made<DictProxy<K, V>>(items);
    }
    /// A list, empty or of these elements.
    template <class T = Any>
    ListProxy<T> list(const std::vector<T>& elements = {}) const {
        return made<ListProxy<T>>(elements);
    }
    template <class T>
    ListProxy<T> list(std::initializer_list<T> elements) const {
        return list(std::vector<T>(elements));
    }
    /// A list of what a range has.
    template <std::ranges::input_range Range>
        requires(!std::is_same_v<std::remove_cvref_t<Range>, std::vector<std::ranges::range_value_t<Range>>>)
    ListProxy<std::ranges::range_value_t<Range>> list(Range&& range) const {
        std::vector<std::ranges::range_value_t<Range>> elements;
        for (auto&& element : range) elements.push_back(element);
        return list(elements);
    }
    NamespaceProxy make_namespace() const;
    template <class T>
    ValueProxy<T> value(T initial) const {
        return made<ValueProxy<T>>(std::move(initial));
    }
    template <class T>
    ArrayProxy<T> array(const std::vector<T>& values) const {
        return made<ArrayProxy<T>>(values);
    }
    template <class T>
    ArrayProxy<T> array(std::initializer_list<T> values) const {
        return array(std::vector<T>(values));
    }
    /// For `max_size` items at most; 0 (or less): without limit.
    template <class T>
    QueueProxy<T> queue(Count max_size = 0) const {
        return made<QueueProxy<T>>(max_size.value());
    }
    LockProxy lock() const;
    RLockProxy rlock() const;
    /// Throws std::invalid_argument if `value` is negative or more than 2147483647.
    SemaphoreProxy semaphore(Count value = 1) const;
    BoundedSemaphoreProxy bounded_semaphore(Count value = 1) const;
    EventProxy event() const;
    /// With a lock of its own, which is recursive, or a given one of this manager.
    ConditionProxy condition() const;
    ConditionProxy condition(const LockProxy& lock) const;
    ConditionProxy condition(const RLockProxy& lock) const;
    /// Throws std::invalid_argument unless there are 1 to 65535 parties.
    BarrierProxy barrier(Count parties, std::optional<Timeout> timeout = std::nullopt) const;

    /// An object of your class, which is made by `C(args...)` in the server; see `methods`. The arguments travel as those of
    /// a task do.
    template <class C, class... Args>
    Proxy<C> make(Args&&... args) const {
        return run(detail::MakeServed<C>(), std::forward<Args>(args)...);
    }
    /// Runs a task in the server, and returns what it returns.
    template <class F, class... Args>
    detail::task_result_t<F, Args...> run(F&& f, Args&&... args) const {
        using Task = detail::Task<F, Args...>;
        const typename Task::Function function(std::forward<F>(f));
        const std::shared_ptr<const detail::ProxyTarget> server = require_server();
        detail::ServerRun run(*server, Task::target(function));
        Task::write_callable(run.message(), function);
        run.callable_written();
        Task::write_item(run.message(), std::forward<Args>(args)...);
        [[maybe_unused]] InputBuffer& result = run.perform();
        if constexpr (!std::is_void_v<typename Task::Result>)
            return detail::decode_result<typename Task::Result>(result);
    }

private:
    template <class P, class... Args>
    P made(Args&&... args) const {
        return detail::ProxyAccess::make<P>(
            detail::ProxyAccess::target(make<typename P::Object>(std::forward<Args>(args)...)));
    }
    std::shared_ptr<const detail::ProxyTarget> require_server() const;

    class State;
    std::unique_ptr<State> state_;
};

}  // namespace multiproc
