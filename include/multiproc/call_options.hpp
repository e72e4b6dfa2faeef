/// @file
/// What can be chosen for single calls of a pool.
///
/// ```cpp
/// using namespace std::chrono_literals;
/// auto pages = pool.with({.timeout = 2s, .retries = 1}).map(render, documents);
/// ```
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <utility>

#include <multiproc/config.hpp>
#include <multiproc/timeout.hpp>

namespace multiproc {

/// A number of any integer type, so that bad ones can be refused with words instead of wrapping round.
class Count {
public:
    template <std::integral T>
        requires(!std::same_as<T, bool>)
    constexpr Count(T value) noexcept  // NOLINT(google-explicit-constructor): `.workers = 4`
        : value_(std::in_range<std::int64_t>(value) ? static_cast<std::int64_t>(value) : INT64_MAX) {}
    constexpr std::int64_t value() const noexcept { return value_; }

private:
    std::int64_t value_;
};

/// Runs what it is given, at once or later, in a thread of its own choice: `post` of an event loop, say. An empty one
/// stands for the pool's own thread for callbacks.
using Executor = std::function<void(std::function<void()>)>;

/// How far a map has come.
struct Progress {
    std::uint64_t done = 0;                 ///< items with a result or an error
    std::uint64_t total = 0;                ///< items so far; grows while the input is being read
    std::chrono::nanoseconds elapsed{0};    ///< since the call
    std::chrono::nanoseconds remaining{0};  ///< guessed from the speed so far
};

/// What can be chosen for a call: `pool.with({.timeout = 2s, .retries = 1}).map(f, xs)`.
struct CallOptions {
    /// A task that runs longer fails with TimeoutError; its worker is killed and replaced, whatever it does with signals.
    /// The time begins when a worker begins with the task. It is not tried again. Of a map: for each item. Zero: no limit.
    Timeout timeout = std::chrono::nanoseconds(0);
    /// How often a task is tried again when its worker died with it. Never one that has thrown or returned.
    Count retries = 0;
    /// Items of a map sent to a worker at once, at most; 0: as many as take a short time.
    Count chunk_size = 0;
    /// Called now and then while a map runs and once at its end, in the pool's thread for callbacks (or by `executor`).
    /// `map` returns after the last report, except where that would be for ever: in a callback, or with an executor.
    std::function<void(const Progress&)> on_progress = {};
    /// Where `on_progress` and continuations of this call run; empty: the pool's thread for callbacks.
    Executor executor = {};
};

}  // namespace multiproc
