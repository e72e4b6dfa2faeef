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

#include <chrono>
#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <multiproc/async_result.hpp>
#include <multiproc/call_options.hpp>
#include <multiproc/config.hpp>
#include <multiproc/detail/pool_client.hpp>
#include <multiproc/pool_calls.hpp>
#include <multiproc/pool_stats.hpp>
#include <multiproc/sandbox.hpp>
#include <multiproc/start_method.hpp>
#include <multiproc/timeout.hpp>

namespace multiproc {

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
        call_.attachments = out.take_attachments();
    }

private:
    friend class Pool;
    detail::StoredCall call_;
};

class PoolWith;

/// What can be chosen for a pool: `Pool pool({.workers = 4, .name = "decoder"})`.
struct PoolOptions {
    /// How many; else `cpu_count()`. 0: everything runs at once in the process and thread that submits it, still through
    /// the codec, for debugging (timeouts, cancelling and limits have no effect then, and `terminate` does not wait for
    /// what other threads are running).
    std::optional<Count> workers = {};
    StartMethod start_method = StartMethod::automatic;  ///< see start_method.hpp
    /// Run once in the fork server before it forks the first worker of this pool, so that all workers share the memory
    /// of what it loads, copy-on-write; with other start methods, and where it failed there, in each worker before the
    /// initializer. `.preload = multiproc::partial(load_model, path)`: the same function with the same arguments runs
    /// once for all pools of the program, and all children that the server forks later have what it loaded. The server has the directory and environment that the program had at its first
    /// start. If it starts a thread that stays, nothing can be forked safely any more, and workers are spawned.
    Action preload = {};
    Action initializer = {};         ///< run in each worker before its first task
    Action finalizer = {};           ///< run in each worker before it leaves in good order
    Count max_tasks_per_worker = 0;  ///< a worker is replaced after so many items; 0: never
    /// A worker that has had nothing to do for so long ends; zero: never. Then workers also start on demand: one at
    /// first, and the others when tasks are waiting.
    Timeout idle_timeout = std::chrono::nanoseconds(0);
    /// Bytes of memory that each worker may have; 0: no limit. What a task asks for beyond that fails, as std::bad_alloc
    /// or with the worker's death, and costs that task. On POSIX its address space is counted (RLIMIT_AS), except what is set
    /// aside for shared objects; so give it room for the program itself (not every system keeps to that limit). On
    /// Windows what it has committed is counted.
    Count memory_limit = 0;
    /// Tell OpenMP, BLAS and their like in the workers to use only a worker's share of the processors, unless the
    /// environment says how many threads they use: OpenMP, OpenBLAS, MKL, BLIS, Accelerate (vecLib) and numexpr read it
    /// from their variables. oneTBB reads none: it uses as many threads as its process's affinity mask has processors.
    /// Who uses it makes a `tbb::global_control` with `max_allowed_parallelism` in the initializer and keeps it; the
    /// number is in the variable TBB_NUM_THREADS. A pool made in a worker has that many workers by default, too.
    bool limit_threads = true;
    /// `Sandbox::compute` for tasks that handle what strangers made: from the end of the initializer on workers can compute
    /// and nothing else; see sandbox.hpp. Not with StartMethod::fork, whose children are copies of this process with all
    /// that it knows and has open, nor without workers: the constructor or `start` say so.
    Sandbox sandbox = Sandbox::none;
    /// A file (UTF-8) for a timeline of all tasks in Chrome's trace format, written when the pool has ended: open it in
    /// Perfetto (ui.perfetto.dev) or chrome://tracing, one row a worker, one box a task. Each task then travels alone
    /// and is timed, which small ones feel. The constructor throws std::system_error if it cannot be written.
    std::string trace = {};
    std::string name = "PoolWorker";  ///< workers are called "PoolWorker-1", "PoolWorker-2", ...
};

/// A pool of worker processes. All functions are thread-safe. It belongs to the process that made it; in a copy that
/// the host forked on its own every use throws ClosedError and its destruction does nothing.
///
/// `apply`, `map` and their relatives are in PoolCalls.
class MULTIPROC_API Pool : public PoolCalls<Pool> {
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
    /// of them (those already started are ended, and it can be tried again) or has no sandbox that was asked for,
    /// ClosedError after `close`.
    void start();

    /// The same pool with options for the calls made through it: `pool.with({.timeout = 2s}).map(f, xs)`.
    /// Throws std::invalid_argument for options that make no sense.
    PoolWith with(CallOptions options) const;

    /// Takes no more tasks; those it has are finished, then the workers leave in good order. A second call does
    /// nothing.
    void close();
    /// Ends the workers now. Tasks without a result get ClosedError. Returns when the workers are gone.
    void terminate();
    /// Waits until the workers are gone. Throws std::logic_error before `close` or `terminate`.
    void join();

    /// How many workers it has when started.
    std::size_t workers() const;
    /// Changes the number of workers: new ones start, or some leave when they have done what they have begun. Throws
    /// std::invalid_argument for 0 or less, ClosedError after `close`.
    void resize(Count workers);
    /// What it has done so far. Throws ClosedError in another process than its own.
    PoolStats stats() const;
    /// The process ids of the workers that run now.
    std::vector<std::uint32_t> worker_pids() const;

private:
    friend class PoolCalls<Pool>;
    detail::PoolEngine& engine() const;
    const CallOptions& call_options() const noexcept { return no_options(); }
    static const CallOptions& no_options() noexcept;
    void leave() noexcept;

    detail::EngineRef engine_;
};

/// A pool together with options for calls; see Pool::with. It may outlive the pool, and then throws ClosedError.
class MULTIPROC_API PoolWith : public PoolCalls<PoolWith> {
private:
    friend class Pool;
    friend class PoolCalls<PoolWith>;
    PoolWith(detail::EngineRef engine, CallOptions options)
        : engine_(std::move(engine)), options_(std::move(options)) {}
    detail::PoolEngine& engine() const noexcept { return *engine_.get(); }
    const CallOptions& call_options() const noexcept { return options_; }

    detail::EngineRef engine_;
    CallOptions options_;
};

}  // namespace multiproc
