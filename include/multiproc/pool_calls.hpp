/// @file
/// The ways to give a pool something to do; the same for a Pool and for `pool.with(options)`.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <multiproc/async_result.hpp>
#include <multiproc/call_options.hpp>
#include <multiproc/detail/imap_stream.hpp>
#include <multiproc/detail/pool_client.hpp>
#include <multiproc/imap.hpp>

namespace multiproc {

template <class Derived>
class PoolCalls {
public:
    /// Runs `f(args...)` in a worker and returns its result. Throws what it threw; see AsyncResult::get.
    template <class F, class... Args>
    auto apply(F&& f, Args&&... args) {
        return submit(true, std::forward<F>(f), std::forward<Args>(args)...).get();
    }

    /// Starts `f(args...)` in a worker and returns at once. Throws CodecError if an argument cannot be encoded,
    /// ClosedError after `close` or `terminate`, BrokenPool, and as `start` for the first task.
    template <class F, class... Args>
    AsyncResult<detail::task_result_t<F, Args...>> apply_async(F&& f, Args&&... args) {
        return submit(false, std::forward<F>(f), std::forward<Args>(args)...);
    }

    /// Runs `f(x)` for each `x` of `inputs` and returns the results in that order (nothing if `f` returns void).
    /// `inputs` is any input range; it is read a little ahead of the workers, in the calling thread. `chunk_size`:
    /// items sent to a worker at once, at most; 0 (the default): as many as take a short time.
    /// Throws the error of the first item that failed, once all have been run; what reading `inputs` throws, at once.
    template <class F, std::ranges::input_range Range>
    auto map(F&& f, Range&& inputs, Count chunk_size = 0) {
        using Task = detail::Task<F, std::ranges::range_reference_t<Range>>;
        return map_now<Task>(std::forward<F>(f), inputs, chunk_size, [](OutputBuffer& out, auto&& input) {
            Task::write_item(out, std::forward<decltype(input)>(input));
        });
    }

    /// The same without waiting for the results. `inputs` is read to its end before this returns.
    template <class F, std::ranges::input_range Range>
    auto map_async(F&& f, Range&& inputs, Count chunk_size = 0) {
        using Task = detail::Task<F, std::ranges::range_reference_t<Range>>;
        return map_later<Task>(std::forward<F>(f), inputs, chunk_size, [](OutputBuffer& out, auto&& input) {
            Task::write_item(out, std::forward<decltype(input)>(input));
        });
    }

    /// As `map`, but the results are read one by one while the pool works on the next, in the order of the input, and
    /// `inputs` is read only a little ahead of them: see ImapResults. `inputs` must live until the results have been
    /// read, unless it is a view or an rvalue, which is kept. Nothing that reading `inputs` throws is thrown from here.
    /// Throws ClosedError after `close` or `terminate`, BrokenPool, and as `start` for the first task.
    /// Source: Python's `Pool.imap`.
    template <class F, std::ranges::input_range Range>
    auto imap(F&& f, Range&& inputs, Count chunk_size = 0) {
        return imap_in_order(std::forward<F>(f), std::forward<Range>(inputs), chunk_size,
                             detail::ImapStream::Order::of_input);
    }

    /// As `imap`, but each result comes as soon as it is there. Source: Python's `Pool.imap_unordered`.
    template <class F, std::ranges::input_range Range>
    auto imap_unordered(F&& f, Range&& inputs, Count chunk_size = 0) {
        return imap_in_order(std::forward<F>(f), std::forward<Range>(inputs), chunk_size,
                             detail::ImapStream::Order::of_completion);
    }

    /// As `map`, for functions of several parameters: each input is a tuple, pair or array of arguments.
    template <class F, std::ranges::input_range Range>
    auto starmap(F&& f, Range&& inputs, Count chunk_size = 0) {
        using Task = StarTask<F, std::ranges::range_reference_t<Range>>;
        return map_now<Task>(std::forward<F>(f), inputs, chunk_size, write_tuple<Task>);
    }

    /// As `map_async`, for functions of several parameters.
    template <class F, std::ranges::input_range Range>
    auto starmap_async(F&& f, Range&& inputs, Count chunk_size = 0) {
        using Task = StarTask<F, std::ranges::range_reference_t<Range>>;
        return map_later<Task>(std::forward<F>(f), inputs, chunk_size, write_tuple<Task>);
    }

private:
    friend Derived;
    PoolCalls() = default;

    Derived& self() noexcept { return static_cast<Derived&>(*this); }

    template <class R>
    using MapResult = typename std::conditional_t<std::is_void_v<R>, std::type_identity<void>,
                                                  std::type_identity<std::vector<R>>>::type;

    template <class Task>
    static constexpr detail::ItemShape shape{Task::fixed_size_items, Task::result_size};

    template <class F, class Tuple, std::size_t... I>
    static auto star_task(std::index_sequence<I...>)
        -> detail::Task<F, decltype(std::get<I>(std::declval<Tuple>()))...>;
    template <class F, class Tuple>
    using StarTask =
        decltype(star_task<F, Tuple>(std::make_index_sequence<std::tuple_size_v<std::remove_cvref_t<Tuple>>>{}));

    template <class Task>
    static constexpr auto write_tuple = [](OutputBuffer& out, auto&& input) {
        std::apply([&out](auto&&... args) { Task::write_item(out, std::forward<decltype(args)>(args)...); },
                   std::forward<decltype(input)>(input));
    };

    template <class F, class... Args>
    AsyncResult<detail::task_result_t<F, Args...>> submit(bool waits, F&& f, Args&&... args) {
        using Task = detail::Task<F, Args...>;
        const typename Task::Function function(std::forward<F>(f));
        const detail::TaskTarget target = Task::target(function);
        detail::TaskWriter writer(self().engine());
        Task::write_callable(writer, function);
        writer.callable_written();
        Task::write_item(writer, std::forward<Args>(args)...);
        return AsyncResult<typename Task::Result>(writer.submit(target, shape<Task>, &self().call_options(), waits));
    }

    CallOptions options_with(Count chunk_size) {
        CallOptions options = self().call_options();
        if (chunk_size.value() != 0) options.chunk_size = detail::check_chunk_size(chunk_size);
        return options;
    }

    template <class Task, class Range, class WriteItem>
    static void write_items(detail::MapWriter& writer, const typename Task::Function& function, Range& inputs,
                            WriteItem& write_item) {
        Task::write_callable(writer.callable(), function);
        writer.callable_written();
        for (auto&& input : inputs) {
            write_item(writer.item(), std::forward<decltype(input)>(input));
            writer.item_written();
        }
    }

    template <class Task, class F, class Range, class WriteItem>
    auto map_later(F&& f, Range& inputs, Count chunk_size, WriteItem write_item) {
        const typename Task::Function function(std::forward<F>(f));
        detail::MapWriter writer(self().engine(), Task::target(function), shape<Task>, options_with(chunk_size), false);
        write_items<Task>(writer, function, inputs, write_item);
        return AsyncResult<MapResult<typename Task::Result>>(writer.finish());
    }

    template <class F, class Range>
    auto imap_in_order(F&& f, Range&& inputs, Count chunk_size, detail::ImapStream::Order order) {
        using Task = detail::Task<F, std::ranges::range_reference_t<Range>>;
        const auto write_item = [](OutputBuffer& out, auto&& input) {
            Task::write_item(out, std::forward<decltype(input)>(input));
        };
        const typename Task::Function function(std::forward<F>(f));
        auto stream = std::make_unique<detail::ImapStream>(self().engine(), Task::target(function), shape<Task>,
                                                           options_with(chunk_size), order);
        Task::write_callable(stream->writer().callable(), function);
        stream->writer().callable_written();
        stream->start(std::make_unique<detail::ImapRange<Range, decltype(write_item)>>(inputs, write_item));
        return ImapResults<typename Task::Result>(std::move(stream));
    }

    // Somebody waits for the results, so they go where they are wanted as they come, and an array is sent from where it
    // lies.
    template <class Task, class F, class Range, class WriteItem>
    MapResult<typename Task::Result> map_now(F&& f, Range& inputs, Count chunk_size, WriteItem write_item) {
        using Result = typename Task::Result;
        const typename Task::Function function(std::forward<F>(f));
        [[maybe_unused]] MapResult<detail::non_void_t<Result>> values;
        constexpr bool sinks = Task::result_size != SIZE_MAX && !std::is_void_v<Result>;
        detail::ResultSink sink;
        if constexpr (sinks) {
            if constexpr (std::ranges::sized_range<Range>) {
                values.reserve(static_cast<std::size_t>(std::ranges::size(inputs)));
                if constexpr (!std::is_same_v<Result, bool>)
                    detail::expect_to_fill(values.data(), values.capacity() * sizeof(Result));
            }
            sink = [&values](std::span<const std::byte> bytes, std::uint32_t count) {
                detail::append_bitwise(values, bytes, count);
            };
        }
        detail::MapWriter writer(self().engine(), Task::target(function), shape<Task>, options_with(chunk_size), true,
                                 std::move(sink));
        if constexpr (lies_in_memory<Task, Range>) {
            writer.callable_written();
            writer.items_are(std::ranges::data(inputs), sizeof(std::ranges::range_value_t<Range>),
                             static_cast<std::uint64_t>(std::ranges::size(inputs)));
        } else {
            write_items<Task>(writer, function, inputs, write_item);
        }
        const detail::CallHandle call = writer.finish_and_wait();
        if constexpr (sinks) {
            call.template value<void>();
            return values;
        } else {
            return call.template value<MapResult<Result>>();
        }
    }

    template <class Task, class Range>
    static constexpr bool lies_in_memory = [] {
        if constexpr (std::ranges::contiguous_range<Range> && std::ranges::sized_range<Range>) {
            return Task::fieldless && Task::template encodes_as_is<std::ranges::range_value_t<Range>>;
        } else {
            return false;
        }
    }();
};

}  // namespace multiproc
