/// @file
/// The results of `imap` and `imap_unordered`: read one by one, while the pool works on the next ones.
///
/// ```cpp
/// for (const Thumbnail& t : pool.imap(shrink, std::filesystem::directory_iterator("photos"))) show(t);
///
/// auto sums = pool.imap_unordered(checksum, files);    // an error of one file does not end it
/// for (;;) {
///     try {
///         const std::optional<Sum> sum = sums.next();
///         if (!sum) break;
///         print(*sum);
///     } catch (const std::exception& error) { std::cerr << error.what() << '\n'; }
/// }
/// ```
#pragma once

#include <cstddef>
#include <exception>
#include <iterator>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include <multiproc/config.hpp>
#include <multiproc/detail/imap_stream.hpp>
#include <multiproc/errors.hpp>
#include <multiproc/timeout.hpp>

namespace multiproc {

/// Results as they come: a single-pass range (`std::ranges::input_range`) of `R&`, or of `std::monostate&` if the
/// function returns void.
///
/// The input is read in the thread that reads the results, at `imap` and whenever results are asked for, and never
/// further than a window of items ahead of what was read here: 32, or 16 for each worker, or two chunks for each
/// worker, whichever is most (rounded up to whole chunks). So an input without an end takes constant memory. Items that
/// are slow to read are sent on one by one.
///
/// An item that failed throws its error (see AsyncResult::get) where its result would be: when it is dereferenced, or
/// by `next`. Going on behind it is fine. What reading the input throws, and what encoding an argument throws, comes
/// behind the results of the items before it, and then the range is at its end. The same holds for the ClosedError or
/// BrokenPool of a pool that ends first.
///
/// After Pool::close the input is read on. Pool::join does not wait for who reads this: what was not read of the input
/// by then is not run, and instead of its results comes ClosedError.
///
/// Destroying it cancels the items that no worker has begun. It may outlive its pool. Not thread-safe: one thread at a
/// time uses it, and every thread may.
/// Source: the iterators that Python's `Pool.imap` and `Pool.imap_unordered` return.
template <class R>
class ImapResults {
public:
    /// What an item is: `R`, or std::monostate for void.
    using Value = std::conditional_t<std::is_void_v<R>, std::monostate, R>;

    class Iterator {
    public:
        using value_type = Value;
        using difference_type = std::ptrdiff_t;
        using iterator_concept = std::input_iterator_tag;

        Iterator() = default;

        /// The result, which may be moved from. Throws the error of the item, each time.
        Value& operator*() const { return state_->value(); }
        Value* operator->() const { return &state_->value(); }
        /// Waits for the next result or error.
        Iterator& operator++() {
            state_->advance(std::nullopt);
            return *this;
        }
        void operator++(int) { ++*this; }
        friend bool operator==(const Iterator& it, std::default_sentinel_t) { return it.state_->is_at_end(); }

    private:
        friend class ImapResults;
        class State;
        explicit Iterator(State* state) noexcept : state_(state) {}
        State* state_ = nullptr;
    };

    /// Waits for the first result or error. Called again it goes on: behind the item that was looked at last.
    Iterator begin() {
        state().go_to_unseen(std::nullopt);
        return Iterator(state_.get());
    }
    std::default_sentinel_t end() const noexcept { return {}; }

    /// Waits for the next result and returns it, or nothing at the end. Throws the item's error. A std::bad_alloc of this
    /// process's own need not stand for an item: then the next call gives what this one was to give.
    std::optional<Value> next() {
        if (!state().go_to_unseen(std::nullopt) || state_->is_at_end()) return std::nullopt;
        return std::optional<Value>(std::move(state_->value()));
    }

    /// As `next`, but throws TimeoutError when nothing is there after `timeout`; zero or negative only asks. Nothing is
    /// lost then. The time that the input takes to be read does not count.
    /// Source: Python's `next(timeout)` of these iterators.
    std::optional<Value> next_for(Timeout timeout) {
        if (!state().go_to_unseen(timeout)) state_->throw_timeout();
        if (state_->is_at_end()) return std::nullopt;
        return std::optional<Value>(std::move(state_->value()));
    }

    ImapResults(ImapResults&&) noexcept = default;
    ImapResults& operator=(ImapResults&&) noexcept = default;
    ~ImapResults() = default;

private:
    template <class>
    friend class PoolCalls;
    using State = typename Iterator::State;

    explicit ImapResults(std::unique_ptr<detail::ImapStream> stream)
        : state_(std::make_unique<State>(std::move(stream))) {}

    State& state() const {
        if (!state_) throw ClosedError("multiproc: these results were moved from");
        return *state_;
    }

    std::unique_ptr<State> state_;  // where iterators find it after a move
};

/// Where the reader is.
template <class R>
class ImapResults<R>::Iterator::State {
public:
    explicit State(std::unique_ptr<detail::ImapStream> stream) : stream_(std::move(stream)) {}

    /// False after `timeout`: then it is where it was.
    bool advance(std::optional<Timeout> timeout) {
        const detail::ImapStream::Step step = stream_->advance(timeout);
        if (step == detail::ImapStream::Step::timeout) return false;
        value_.reset();
        error_ = nullptr;
        is_seen_ = false;
        is_at_end_ = step == detail::ImapStream::Step::end;
        if (!is_at_end_) decode_item();
        return true;
    }

    bool go_to_unseen(std::optional<Timeout> timeout) { return !is_seen_ || advance(timeout); }

    Value& value() {
        is_seen_ = true;
        if (error_) std::rethrow_exception(error_);
        return *value_;
    }

    bool is_at_end() const noexcept { return is_at_end_; }
    [[noreturn]] void throw_timeout() const { stream_->throw_timeout(); }

private:
    // Also if nobody will look at it: the next one is behind it.
    void decode_item() {
        try {
            [[maybe_unused]] InputBuffer& in = stream_->item();
            if constexpr (std::is_void_v<R>) {
                value_.emplace();
            } else {
                value_.emplace(detail::decode_result<R>(in));
            }
        } catch (...) { error_ = std::current_exception(); }
    }

    std::unique_ptr<detail::ImapStream> stream_;
    std::optional<Value> value_;
    std::exception_ptr error_;
    bool is_seen_ = true;  // before the first item as if behind one
    bool is_at_end_ = false;
};

}  // namespace multiproc
