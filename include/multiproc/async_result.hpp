/// @file
/// The result of a task that may still be running.
///
/// ```cpp
/// multiproc::AsyncResult<int> r = pool.apply_async(count_words, path);
/// if (!r.wait_for(std::chrono::seconds(1))) std::cerr << "still counting\n";
/// int n = r.get();
/// ```
#pragma once

#include <chrono>
#include <utility>
#include <vector>

#include <multiproc/config.hpp>
#include <multiproc/detail/pool_client.hpp>
#include <multiproc/errors.hpp>

namespace multiproc {

/// The result of `apply_async`, `map_async` or `starmap_async`. Copies refer to the same task. All functions are
/// thread-safe. It may outlive its pool: a task that the pool could not finish has ClosedError or BrokenPool as its
/// result.
/// Source: Python's `multiprocessing.pool.AsyncResult`.
template <class R>
class AsyncResult {
public:
    /// Waits, then returns the result, decoded anew at each call, or throws what the task threw (as `Remote<E>`, which
    /// is an `E`), WorkerDied if its process died, ClosedError or BrokenPool if the pool ended first. For `map_async`:
    /// the error of the first item that failed, once all have been run.
    R get() const { return call_.template value<R>(); }

    /// As `get`, but throws TimeoutError when the result is not there after `timeout`; the task goes on. A zero or
    /// negative timeout only asks.
    R get_for(std::chrono::nanoseconds timeout) const {
        if (!call_.wait_for(timeout)) call_.throw_timeout();
        return call_.template value<R>();
    }

    /// Waits until the result or error is there.
    void wait() const { call_.wait(); }
    /// The same for at most `timeout`; zero or negative only asks. Returns whether it is there.
    bool wait_for(std::chrono::nanoseconds timeout) const { return call_.wait_for(timeout); }
    /// Whether the result or error is there.
    bool ready() const { return call_.wait_for(std::chrono::nanoseconds::zero()); }
    /// Whether the task ended without an error. Throws std::logic_error if it is not ready.
    bool successful() const { return call_.successful(); }

    /// Gives the task up; its result is CancelledError then. One that no worker has begun never runs; a worker that runs
    /// it is killed and replaced, and no other task suffers. Returns false if the result or error was there already.
    bool cancel() const { return call_.cancel(); }

private:
    template <class>
    friend class PoolCalls;
    explicit AsyncResult(detail::CallHandle call) : call_(std::move(call)) {}

    detail::CallHandle call_;
};

}  // namespace multiproc
