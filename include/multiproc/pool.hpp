/// @file
/// A pool of worker processes that run functions.
///
/// ```cpp
/// std::string task(int id) { return std::to_string(id); }
///
/// int main() {
///     multiproc::freeze_support();
///     multiproc::Pool pool;                                       // one worker per usable processor
///     std::vector<std::string> all = pool.map(task, std::views::iota(0, 10));
///     multiproc::AsyncResult<std::string> one = pool.apply_async(task, 42);
///     std::string s = one.get();
/// }
/// ```
///
/// A function is anything that can be named in another process: a free function, a lambda without captures, a callable
/// object with fields, or `multiproc::partial(f, x...)`. Its arguments are converted to the types of its parameters
/// here, and encoded; its result comes back the same way. What it throws is thrown here. When a worker dies, the one
/// task it was running fails with WorkerDied; all others finish, and the worker is replaced.
///
/// Semantics follow Python's `multiprocessing.pool.Pool`; what differs is said at each function.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <ranges>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <multiproc/async_result.hpp>
#include <multiproc/config.hpp>
#include <multiproc/detail/pool_client.hpp>
#include <multiproc/start_method.hpp>

namespace multiproc {

/// A number of any integer type, so that bad ones can be refused with words instead of wrapping round.
class Count {
public:
    template <std::integral T>
    Count(T value) noexcept  // NOLINT(google-explicit-constructor): `.workers = 4`
        : value_(std::in_range<std::int64_t>(value) ? static_cast<std::int64_t>(value) : INT64_MAX) {}
    std::int64_t value() const noexcept { return value_; }

private:
    std::int64_t value_;
};

/// A callable without parameters, kept encoded: what a pool's workers run at their start or end.
/// `.initializer = open_log` or `.initializer = multiproc::partial(open_log, path)`.
class Action {
public:
    Action() = default;
    template <class F>
        requires(!std::same_as<std::remove_cvref_t<F>, Action>)
    Action(F&& f) {  // NOLINT(google-explicit-constructor)
        using Task = detail::Task<F>;
        const typename Task::Function function(std::forward<F>(f));
        HeapBuffer out;
        call_.target = Task::target(function);
        Task::write_callable(out, function);
        Task::write_item(out);
        call_.bytes.assign(out.bytes().begin(), out.bytes().end());
    }

private:
    friend class Pool;
    detail::StoredCall call_;
};

/// What can be chosen for a pool: `Pool pool({.workers = 4, .name = "decoder"})`.
struct PoolOptions {
    std::optional<Count> workers = {};                  ///< else `cpu_count()`
    StartMethod start_method = StartMethod::automatic;  ///< see start_method.hpp
    Action initializer = {};                            ///< run in each worker before its first task
    Action finalizer = {};                              ///< run in each worker before it leaves in good order
    Count max_tasks_per_worker = 0;                     ///< a worker is replaced after so many items; 0: never
    std::string name = "PoolWorker";                    ///< workers are called "PoolWorker-1", "PoolWorker-2", ...
};

/// A pool of worker processes. All functions are thread-safe. It belongs to the process that made it; in a copy that
/// the host forked on its own every use throws ClosedError and its destruction does nothing.
class MULTIPROC_API Pool {
public:
    /// Starts nothing yet, so a pool may be a static object: workers start with the first task, or with `start`.
    /// Throws std::invalid_argument for options that make no sense.
    explicit Pool(PoolOptions options = {});
    /// A pool of so many workers.
    explicit Pool(Count workers) : Pool(PoolOptions{.workers = workers}) {}
    /// Terminates, in bounded time. Waiting threads get ClosedError.
    ~Pool();
    Pool(Pool&&) noexcept = default;
    Pool& operator=(Pool&& other) noexcept;

    /// Starts the workers now. Throws BootstrapError without `freeze_support()`, StartError if the system refuses one
    /// of them (those already started are ended, and it can be tried again), ClosedError after `close`.
    void start();

    /// Runs `f(args...)` in a worker and returns its result. Throws what it threw; see AsyncResult::get.
    template <class F, class... Args>
    auto apply(F&& f, Args&&... args) {
        return apply_async(std::forward<F>(f), std::forward<Args>(args)...).get();
    }

    /// Starts `f(args...)` in a worker and returns at once. Throws CodecError if an argument cannot be encoded,
    /// ClosedError after `close` or `terminate`, BrokenPool, and as `start` for the first task.
    template <class F, class... Args>
    AsyncResult<detail::task_result_t<F, Args...>> apply_async(F&& f, Args&&... args) {
        using Task = detail::Task<F, Args...>;
        const typename Task::Function function(std::forward<F>(f));
        detail::CallWriter writer(engine(), Task::target(function), {.fixed_size_items = Task::fixed_size_items});
        Task::write_callable(writer.callable(), function);
        writer.callable_written();
        Task::write_item(writer.item(), std::forward<Args>(args)...);
        writer.item_written();
        return AsyncResult<typename Task::Result>(writer.finish());
    }

    /// Runs `f(x)` for each `x` of `inputs` and returns the results in that order (nothing if `f` returns void).
    /// `inputs` is any input range; it is read a little ahead of the workers, in the calling thread. `chunk_size`:
    /// items sent to a worker at once, at most; 0 (the default): as many as take a short time.
    /// Throws the error of the first item that failed, once all have been run; what reading `inputs` throws, at once.
    template <class F, std::ranges::input_range Range>
    auto map(F&& f, Range&& inputs, Count chunk_size = 0) {
        return submit_map(std::forward<F>(f), std::forward<Range>(inputs), chunk_size, true).get();
    }

    /// The same without waiting for the results. `inputs` is read to its end before this returns.
    template <class F, std::ranges::input_range Range>
    auto map_async(F&& f, Range&& inputs, Count chunk_size = 0) {
        return submit_map(std::forward<F>(f), std::forward<Range>(inputs), chunk_size, false);
    }

    /// As `map`, for functions of several parameters: each input is a tuple, pair or array of arguments.
    template <class F, std::ranges::input_range Range>
    auto starmap(F&& f, Range&& inputs, Count chunk_size = 0) {
        return submit_starmap(std::forward<F>(f), std::forward<Range>(inputs), chunk_size, true).get();
    }

    /// As `map_async`, for functions of several parameters.
    template <class F, std::ranges::input_range Range>
    auto starmap_async(F&& f, Range&& inputs, Count chunk_size = 0) {
        return submit_starmap(std::forward<F>(f), std::forward<Range>(inputs), chunk_size, false);
    }

    /// Takes no more tasks; those it has are finished, then the workers leave in good order. A second call does
    /// nothing.
    void close();
    /// Ends the workers now. Tasks without a result get ClosedError. Returns when the workers are gone.
    void terminate();
    /// Waits until the workers are gone. Throws std::logic_error before `close` or `terminate`.
    void join();

    /// How many workers it has when started.
    std::size_t workers() const;
    /// The process ids of the workers that run now.
    std::vector<std::uint32_t> worker_pids() const;

private:
    template <class R>
    using MapResult = AsyncResult<typename std::conditional_t<std::is_void_v<R>, std::type_identity<void>,
                                                              std::type_identity<std::vector<R>>>::type>;

    template <class F, class Range>
    auto submit_map(F&& f, Range&& inputs, Count chunk_size, bool bounded) {
        using Task = detail::Task<F, std::ranges::range_reference_t<Range>>;
        return write_items<Task>(std::forward<F>(f), inputs, chunk_size, bounded, [](OutputBuffer& out, auto&& input) {
            Task::write_item(out, std::forward<decltype(input)>(input));
        });
    }

    template <class F, class Tuple, std::size_t... I>
    static auto star_task(std::index_sequence<I...>)
        -> detail::Task<F, decltype(std::get<I>(std::declval<Tuple>()))...>;

    template <class F, class Range>
    auto submit_starmap(F&& f, Range&& inputs, Count chunk_size, bool bounded) {
        using Tuple = std::ranges::range_reference_t<Range>;
        using Indices = std::make_index_sequence<std::tuple_size_v<std::remove_cvref_t<Tuple>>>;
        using Task = decltype(star_task<F, Tuple>(Indices{}));
        return write_items<Task>(std::forward<F>(f), inputs, chunk_size, bounded, [](OutputBuffer& out, auto&& input) {
            std::apply([&out](auto&&... args) { Task::write_item(out, std::forward<decltype(args)>(args)...); },
                       std::forward<decltype(input)>(input));
        });
    }

    template <class Task, class F, class Range, class WriteItem>
    auto write_items(F&& f, Range& inputs, Count chunk_size, bool bounded, WriteItem write_item) {
        const typename Task::Function function(std::forward<F>(f));
        detail::CallWriter writer(engine(), Task::target(function),
                                  {.chunk_size = check_chunk_size(chunk_size),
                                   .is_map = true,
                                   .fixed_size_items = Task::fixed_size_items,
                                   .bounded = bounded});
        Task::write_callable(writer.callable(), function);
        writer.callable_written();
        for (auto&& input : inputs) {
            write_item(writer.item(), std::forward<decltype(input)>(input));
            writer.item_written();
        }
        return MapResult<typename Task::Result>(writer.finish());
    }

    const std::shared_ptr<detail::PoolEngine>& engine() const;
    static std::size_t check_chunk_size(Count chunk_size);
    void leave() noexcept;

    std::shared_ptr<detail::PoolEngine> engine_;
};

}  // namespace multiproc
