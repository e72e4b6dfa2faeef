/// @file
/// What an imap is made of: its input, read bit by bit, and its results, as they come. Internal.
#pragma once

#include <cstddef>
#include <exception>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>

#include <multiproc/config.hpp>
#include <multiproc/detail/pool_client.hpp>
#include <multiproc/timeout.hpp>

namespace multiproc::detail {

/// A range that is kept while it is read: lvalues by reference unless they are views, rvalues by value. The same as
/// std::views::all_t, which Clang 14 cannot compile with GCC's library.
template <class Range>
class KeptRange {
    using Plain = std::remove_cvref_t<Range>;
    static constexpr bool refers =
        std::is_lvalue_reference_v<Range> && !(std::ranges::view<Plain> && std::copy_constructible<Plain>);

public:
    explicit KeptRange(std::remove_reference_t<Range>& range) : range_(keep(range)) {}
    auto& get() noexcept {
        if constexpr (refers) {
            return *range_;
        } else {
            return range_;
        }
    }

private:
    using Kept = std::conditional_t<refers, std::remove_reference_t<Range>*, Plain>;
    static Kept keep(std::remove_reference_t<Range>& range) {
        if constexpr (refers) {
            return std::addressof(range);
        } else if constexpr (std::is_lvalue_reference_v<Range>) {
            return range;
        } else {
            return std::move(range);
        }
    }

    Kept range_;
};

class ImapInput {
public:
    ImapInput() = default;
    ImapInput(const ImapInput&) = delete;
    ImapInput& operator=(const ImapInput&) = delete;
    virtual ~ImapInput() = default;
    /// Writes the arguments of the next item, or returns false at the end. Throws what reading or encoding throws.
    virtual bool write_next(OutputBuffer& out) = 0;
};

template <class Range, class WriteItem>
class ImapRange final : public ImapInput {
public:
    ImapRange(std::remove_reference_t<Range>& range, WriteItem write_item)
        : range_(range), write_item_(std::move(write_item)) {}

    // One item is read at a time, and none before it is wanted: the range may be waiting for a person.
    bool write_next(OutputBuffer& out) override {
        auto& range = range_.get();
        if (next_) {
            ++*next_;
        } else {
            next_.emplace(std::ranges::begin(range));
        }
        if (*next_ == std::ranges::end(range)) return false;
        write_item_(out, **next_);
        return true;
    }

private:
    KeptRange<Range> range_;
    WriteItem write_item_;
    std::optional<std::ranges::iterator_t<std::remove_reference_t<Range>>> next_;
};

class MULTIPROC_API ImapStream {
public:
    enum class Order : std::uint8_t { of_input, of_completion };
    enum class Step : std::uint8_t { item, end, timeout };

    /// Throws as MapWriter.
    ImapStream(PoolEngine& engine, const TaskTarget& target, ItemShape shape, const CallOptions& options, Order order);
    /// Withdraws what no worker has begun.
    ~ImapStream();
    ImapStream(const ImapStream&) = delete;
    ImapStream& operator=(const ImapStream&) = delete;

    /// First the callable's fields are written here, then `start`.
    MapWriter& writer() noexcept;
    void start(std::unique_ptr<ImapInput> input);

    /// Goes to the next result or error, reading more of the input if it is time for that.
    Step advance(std::optional<Timeout> timeout);
    /// What `advance` has gone to, to be decoded to its end. Throws its error.
    InputBuffer& item();
    [[noreturn]] void throw_timeout() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace multiproc::detail
