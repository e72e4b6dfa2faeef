/// @file
/// Waiting for several results at once, also of different pools.
///
/// ```cpp
/// std::vector<multiproc::AsyncResult<Page>> pages;
/// for (const auto& url : urls) pages.push_back(pool.apply_async(download, url));
///
/// for (multiproc::AsyncResult<Page>& page : multiproc::as_completed(pages)) show(page.get());
///
/// auto [done, not_done] = multiproc::wait(pages, multiproc::Until::first_error, std::chrono::seconds(10));
/// for (auto& page : not_done) page.cancel();
/// ```
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

#include <multiproc/async_result.hpp>
#include <multiproc/config.hpp>
#include <multiproc/detail/completions.hpp>
#include <multiproc/errors.hpp>
#include <multiproc/timeout.hpp>

namespace multiproc {

namespace detail {

template <class T>
struct ResultType {};
template <class R>
struct ResultType<AsyncResult<R>> {
    using type = R;
};

/// A range of AsyncResult<R>; `type` is the R.
template <class Range>
using result_type_of = typename ResultType<std::remove_cvref_t<std::ranges::range_reference_t<Range>>>::type;

template <class R>
std::vector<CallHandle> calls_of(const std::vector<AsyncResult<R>>& results) {
    std::vector<CallHandle> calls;
    calls.reserve(results.size());
    for (const AsyncResult<R>& result : results) calls.push_back(ResultAccess::call(result));
    return calls;
}

template <class R, class Range>
std::vector<AsyncResult<R>> collect_results(Range&& range) {
    std::vector<AsyncResult<R>> results;
    for (auto&& result : range) results.push_back(result);
    return results;
}

}  // namespace detail

/// What `as_completed` returns: a single-pass range (`std::ranges::input_range`) of `AsyncResult<R>&`, each ready.
/// Not thread-safe: one thread at a time uses it, and every thread may.
template <class R>
class Completed {
public:
    class Iterator {
    public:
        using value_type = AsyncResult<R>;
        using difference_type = std::ptrdiff_t;
        using iterator_concept = std::input_iterator_tag;

        Iterator() = default;
        AsyncResult<R>& operator*() const noexcept { return state_->results[*state_->at]; }
        AsyncResult<R>* operator->() const noexcept { return &**this; }
        /// Waits for the next one. Throws TimeoutError when the time is over, and stays where it is.
        Iterator& operator++() {
            state_->advance();
            return *this;
        }
        void operator++(int) { ++*this; }
        friend bool operator==(const Iterator& it, std::default_sentinel_t) noexcept { return !it.state_->at; }

    private:
        friend class Completed;
        struct State {
            std::vector<AsyncResult<R>> results;
            detail::Completions completions;
            std::optional<std::size_t> at = {};

            void advance() {
                if (completions.left() == 0) {
                    at.reset();
                    return;
                }
                const std::optional<std::size_t> next = completions.next();
                if (!next) throw TimeoutError("multiproc: as_completed has waited until its timeout");
                at = next;
            }
        };
        explicit Iterator(State* state) noexcept : state_(state) {}
        State* state_ = nullptr;
    };

    /// Waits for the first one; called again it goes on with the next. Throws TimeoutError when the time is over.
    Iterator begin() {
        state_->advance();
        return Iterator(state_.get());
    }
    std::default_sentinel_t end() const noexcept { return {}; }

    /// For `as_completed`.
    Completed(std::vector<AsyncResult<R>> results, std::optional<Timeout> timeout) {
        std::vector<detail::CallHandle> calls = detail::calls_of(results);
        state_ = std::make_unique<typename Iterator::State>(
            typename Iterator::State{std::move(results), detail::Completions(std::move(calls), timeout)});
    }

private:
    std::unique_ptr<typename Iterator::State> state_;  // where iterators find it after a move
};

/// The results of `results` (any input range of AsyncResult<R>) in the order in which they become ready; first those
/// that are, in the order given. One that is given twice comes twice. `timeout` counts from this call: when it is over
/// before the next one is ready, going there throws TimeoutError; none (the default): no limit, zero or negative: only
/// asks. The tasks go on. Throws ClosedError in a copy of the program that the host forked. Thread-safe.
/// Source: Python's `concurrent.futures.as_completed`.
template <std::ranges::input_range Range, class R = detail::result_type_of<Range>>
Completed<R> as_completed(Range&& results, std::optional<Timeout> timeout = std::nullopt) {
    return Completed<R>(detail::collect_results<R>(results), timeout);
}

/// When `wait` returns. Source: Python's `FIRST_COMPLETED`, `FIRST_EXCEPTION` and `ALL_COMPLETED`.
enum class Until : std::uint8_t {
    first_completed,  ///< when at least one has its result or error
    first_error,      ///< when at least one has an error (to have been cancelled is one), or all have results
    all,              ///< when all have their result or error
};

/// What `wait` returns: both in the order given.
template <class R>
struct DoneAndNotDone {
    std::vector<AsyncResult<R>> done;
    std::vector<AsyncResult<R>> not_done;
};

/// Waits until enough of `results` (any input range of AsyncResult<R>) are ready, or `timeout` has passed, and says
/// which are. None (the default): no limit; a zero or negative timeout only asks. For no results it returns at once.
/// The tasks go on. Throws ClosedError in a copy of the program that the host forked. Thread-safe.
/// Source: Python's `concurrent.futures.wait`.
template <std::ranges::input_range Range, class R = detail::result_type_of<Range>>
DoneAndNotDone<R> wait(Range&& results, Until until = Until::all, std::optional<Timeout> timeout = std::nullopt) {
    const std::vector<AsyncResult<R>> all = detail::collect_results<R>(results);
    std::vector<bool> is_done(all.size(), false);
    detail::Completions completions(detail::calls_of(all), timeout);
    bool enough = false;
    while (completions.left() != 0) {
        // When there are enough, those that are ready too count as done, without waiting for them.
        const std::optional<std::size_t> index = enough ? completions.poll() : completions.next();
        if (!index) break;
        is_done[*index] = true;
        enough =
            enough || until == Until::first_completed || (until == Until::first_error && !all[*index].successful());
    }
    DoneAndNotDone<R> sorted;
    for (std::size_t i = 0; i < all.size(); ++i) (is_done[i] ? sorted.done : sorted.not_done).push_back(all[i]);
    return sorted;
}

}  // namespace multiproc
