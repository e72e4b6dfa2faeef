/// @file
/// The result of a task that may still be running.
///
/// ```cpp
/// multiproc::AsyncResult<int> r = pool.apply_async(count_words, path);
/// if (!r.wait_for(std::chrono::seconds(1))) std::cerr << "still counting\n";
/// int n = r.get();
///
/// pool.apply_async(load, file).then([&](multiproc::AsyncResult<Image> image) { show(image.get()); }, post_to_gui);
/// Image image = co_await pool.apply_async(load, file).on(post_to_gui);      // in a coroutine
/// ```
#pragma once

#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>
#include <version>
#if defined(__cpp_lib_jthread)
#include <stop_token>
#endif
#include <vector>

#include <multiproc/call_options.hpp>
#include <multiproc/config.hpp>
#include <multiproc/detail/pool_client.hpp>
#include <multiproc/errors.hpp>
#include <multiproc/timeout.hpp>

namespace multiproc {

template <class R>
class AsyncResult;

namespace detail {

struct ResultAccess {
    template <class R>
    static const CallHandle& call(const AsyncResult<R>& result) noexcept {
        return result.call_;
    }
};

/// What `co_await` of a result waits with.
template <class R>
class ResultAwaiter {
public:
    ResultAwaiter(AsyncResult<R> result, Executor executor, bool may_go_on)
        : result_(std::move(result)), executor_(std::move(executor)), may_go_on_(may_go_on) {}

    bool await_ready() const { return may_go_on_ && ResultAccess::call(result_).ready(); }
    // A template, because <coroutine> is not needed by who does not use coroutines.
    template <class Coroutine>
    void await_suspend(Coroutine coroutine) {
        // The coroutine may have ended, and this object with it, before `then` has returned. An executor that throws may
        // have run or kept the function all the same: the coroutine goes on once.
        const CallHandle call = ResultAccess::call(result_);
        const auto has_gone_on = std::make_shared<std::atomic<bool>>(false);
        call.then({[coroutine, has_gone_on] {
                       if (!has_gone_on->exchange(true)) coroutine.resume();
                   },
                   executor_,
                   [this, coroutine, has_gone_on](std::exception_ptr why) {
                       if (has_gone_on->exchange(true)) std::rethrow_exception(why);
                       refusal_ = std::move(why);
                       coroutine.resume();
                   }});
    }
    R await_resume() const {
        if (refusal_) std::rethrow_exception(refusal_);
        return result_.get();
    }

private:
    std::exception_ptr refusal_;
    AsyncResult<R> result_;
    Executor executor_;
    bool may_go_on_;
};

/// A result together with where a coroutine that waits for it goes on.
template <class R>
struct ResultOn {
    AsyncResult<R> result;
    Executor executor;
    ResultAwaiter<R> operator co_await() const { return {result, executor, false}; }
};

}  // namespace detail

/// The result of `apply_async`, `map_async` or `starmap_async`. Copies refer to the same task. All functions are
/// thread-safe. It may outlive its pool: a task that the pool could not finish has ClosedError or BrokenPool as its
/// result. Every use of one that was moved from throws ClosedError.
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
    R get_for(Timeout timeout) const {
        if (!call_.wait_for(timeout)) call_.throw_timeout();
        return call_.template value<R>();
    }

#if defined(__cpp_lib_jthread)
    /// As `get`, but throws CancelledError when a stop is requested before the result is there. That ends the wait alone;
    /// the task goes on, and `cancel` would end it. Only where the standard library has std::stop_token.
    R get(std::stop_token stop) const {
        std::atomic<bool> stopped{false};
        const std::stop_callback on_stop(std::move(stop), [this, &stopped] {
            stopped.store(true);
            call_.interrupt_waits();
        });
        if (!call_.wait_unless(stopped)) throw CancelledError("multiproc: a stop was requested while waiting");
        return call_.template value<R>();
    }
#endif

    /// Waits until the result or error is there.
    void wait() const { call_.wait(); }
    /// The same for at most `timeout`; zero or negative only asks. Returns whether it is there.
    bool wait_for(Timeout timeout) const { return call_.wait_for(timeout); }
    /// Whether the result or error is there.
    bool ready() const { return call_.wait_for(std::chrono::nanoseconds::zero()); }
    /// Whether the task ended without an error. Throws std::logic_error if it is not ready.
    bool successful() const { return call_.successful(); }

    /// Gives the task up; its result is CancelledError then. One that no worker has begun never runs; a worker that runs
    /// it is killed and replaced, and no other task suffers. (Small tasks of one function may travel in one message, which
    /// a worker begins as a whole: one of these may begin yet, and is ended within some milliseconds.) Returns false if
    /// the result or error was there already.
    bool cancel() const { return call_.cancel(); }

    /// Has `f` called once when the result or error is there, with this result or, if `f` takes no argument, without.
    /// It is called by `executor`; if that is empty, by the call's `.executor` (see CallOptions); if that is empty too,
    /// on the pool's thread for callbacks, one after the other in the order in which results become ready, so `f` should
    /// not take long. Never in this call, also if the result is ready.
    ///
    /// `f` may use the pool: submit, `get` what is ready, terminate and even destroy it. It should not wait there for
    /// results whose tasks wait for other callbacks. What it throws is written to standard error and goes no further.
    ///
    /// Pool::terminate, Pool::join and the destructor of Pool call the callbacks of tasks that get no result any more
    /// (it is ClosedError then), and return when all callbacks have run, or were given to their executor: so do not hold
    /// a lock then that a callback takes. Called by a callback, of this or another pool, they do not wait for callbacks.
    ///
    /// What `f` holds is destroyed on that thread too, or by the executor, and never while the pool is locked: it may be
    /// the last owner of the pool. The same holds for the functions in CallOptions, once the call is done and no result
    /// refers to it.
    ///
    /// Throws std::system_error if the thread cannot be started, ClosedError in a copy of the program that the host
    /// forked. Source: Python's `callback` and `error_callback`, and `Future.add_done_callback`.
    template <class F>
    void then(F&& f, Executor executor = {}) const {
        using Function = std::decay_t<F>;
        constexpr bool takes_result = std::is_invocable_v<Function&, AsyncResult>;
        static_assert(takes_result || std::is_invocable_v<Function&>,
                      "multiproc: a continuation is called with the AsyncResult, or with nothing");
        // std::function copies, which not every callable can.
        auto function = std::make_shared<Function>(std::forward<F>(f));
        const AsyncResult self = *this;  // `f` may end this object before `then` has returned
        self.call_.then({[self, function] {
                             if constexpr (takes_result) {
                                 (*function)(AsyncResult(self));
                             } else {
                                 (*function)();
                             }
                         },
                         std::move(executor)});
    }

    /// `co_await result` in a coroutine: the result, or its error thrown. The coroutine goes on at once if the result is
    /// ready, else on the pool's thread for callbacks or where the call's `.executor` takes it; the rules for `then` hold.
    detail::ResultAwaiter<R> operator co_await() const { return {*this, {}, true}; }
    /// `co_await result.on(executor)`: the coroutine goes on there, also if the result is ready. If the executor throws,
    /// co_await throws that, on the pool's thread for callbacks.
    detail::ResultOn<R> on(Executor executor) const { return {*this, std::move(executor)}; }

    /// Whether both are results of the same task.
    friend bool operator==(const AsyncResult& a, const AsyncResult& b) noexcept {
        return a.call_.identity() == b.call_.identity();
    }

private:
    template <class>
    friend class PoolCalls;
    friend struct detail::ResultAccess;
    explicit AsyncResult(detail::CallHandle call) : call_(std::move(call)) {}

    detail::CallHandle call_;
};

}  // namespace multiproc
