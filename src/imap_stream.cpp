#include <multiproc/detail/imap_stream.hpp>

#include <algorithm>
#include <deque>

#include <multiproc/errors.hpp>

#include "deadline.hpp"
#include "pool_engine.hpp"

namespace multiproc::detail {
namespace {

// So many items are on their way at most: enough that workers do not run dry while the consumer is busy, few enough that
// little piles up behind a slow one.
constexpr std::uint64_t window_items = 32;
constexpr std::uint64_t window_items_per_worker = 16;
constexpr std::uint64_t largest_chunk = 1 << 20;
// Reading that takes longer than this is slow: workers must not wait for what was read until there is more of it.
constexpr auto slow_reading = std::chrono::microseconds(100);

std::uint64_t window_of(std::uint64_t workers, std::uint64_t chunk) {
    const std::uint64_t step = 2 * std::max<std::uint64_t>(chunk, 1) * workers;  // so that chunks are not cut
    const std::uint64_t least = std::max(window_items, window_items_per_worker * workers);
    return (least + step - 1) / step * step;
}

EngineRef refer_to(PoolEngine& engine) {
    engine.retain();
    return EngineRef(&engine);
}

bool is_later(const StreamPart& a, const StreamPart& b) noexcept { return a.results.first > b.results.first; }

}  // namespace

struct ImapStream::State {
    State(PoolEngine& pool, const TaskTarget& target, ItemShape shape, const CallOptions& options, Order how)
        : engine(refer_to(pool)),
          call(pool.begin_stream(target, options)),
          writer(pool, CallHandle(CallRef(call).detach()), shape),
          order(how),
          chunk(std::min(static_cast<std::uint64_t>(options.chunk_size.value()), largest_chunk)),
          window(window_of(std::max<std::uint64_t>(pool.size(), 1), chunk)) {}
    ~State() {
        engine->withdraw(*call);
        engine->await_reports(*call);
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    std::uint64_t on_their_way() const noexcept { return written - consumed; }
    void fill(bool at_start);
    void read_until_full(bool at_start);
    void end_input(std::exception_ptr error);
    bool collect(os::Deadline deadline);
    bool is_next_here() const noexcept;
    bool begin_part();
    void begin_error(std::exception_ptr thrown);
    Step finish();

    EngineRef engine;  // outlives the writer
    CallRef call;
    MapWriter writer;
    const Order order;
    const std::uint64_t chunk;  // 0: the pool decides
    const std::uint64_t window;

    std::unique_ptr<ImapInput> input;  // empty: it has ended
    std::exception_ptr input_error;    // what it ended with, due behind the results of what was read
    std::uint64_t written = 0;         // items
    std::uint64_t consumed = 0;        // of them, by the caller
    bool is_over = false;

    std::vector<StreamPart> arrived;  // empty between calls, unless there was no memory
    std::deque<StreamPart> parts;     // not begun; in order of the input: a heap, the first item's at the front
    StreamPart part;                  // the one at hand...
    InputBuffer rest;                 // ... its results that are not decoded...
    std::uint32_t left = 0;           // ... and how many
    std::exception_ptr error;         // of the item at hand, and of the others left
};

// Reading the input costs the consumer time, so it is done for half a window at once, and before results that are there
// are handed out: workers must not run dry meanwhile.
void ImapStream::State::fill(bool at_start) {
    if (!input || on_their_way() > window / 2) return;
    try {
        read_until_full(at_start);
    } catch (...) {
        // The pool takes no more. What was written and not sent is lost.
        input.reset();
        input_error = std::current_exception();
        written = writer.submitted();
    }
}

void ImapStream::State::read_until_full(bool at_start) {
    os::Clock::time_point sent = os::Clock::now();
    while (on_their_way() < window) {
        bool is_there = false;
        try {
            is_there = input->write_next(writer.item());
        } catch (...) {
            writer.drop_item();
            return end_input(std::current_exception());
        }
        if (!is_there) return end_input(nullptr);
        ++written;
        writer.item_written();
        if (writer.unsent() == 0 && engine->is_crowded(*call)) return;
        if (chunk != 0 && written % chunk != 0) continue;
        const os::Clock::time_point now = os::Clock::now();
        if (now - sent < slow_reading) continue;
        writer.send();
        sent = now;
        if (at_start) return;
        collect(now);
        if (is_next_here()) return;
    }
    writer.send();
}

void ImapStream::State::end_input(std::exception_ptr thrown) {
    input.reset();
    input_error = std::move(thrown);
    writer.finish();
}

// False at the deadline.
bool ImapStream::State::collect(os::Deadline deadline) {
    // What there was no memory for the last time comes first.
    if (arrived.empty() && !engine->take_arrived(*call, arrived, deadline)) return false;
    std::size_t kept = 0;
    try {
        for (; kept < arrived.size(); ++kept) {
            parts.push_back(std::move(arrived[kept]));  // if it throws, nothing was moved
            if (order == Order::of_input) std::push_heap(parts.begin(), parts.end(), is_later);
        }
    } catch (...) {
        arrived.erase(arrived.begin(), arrived.begin() + static_cast<std::ptrdiff_t>(kept));
        throw;
    }
    arrived.clear();
    return true;
}

bool ImapStream::State::is_next_here() const noexcept {
    return left != 0 || (!parts.empty() && (order == Order::of_completion || parts.front().results.first == consumed));
}

bool ImapStream::State::begin_part() {
    if (left != 0) return true;
    part = {};  // a large one goes back to its worker
    error = nullptr;
    if (!is_next_here()) return false;
    if (order == Order::of_input) {
        std::pop_heap(parts.begin(), parts.end(), is_later);
        part = std::move(parts.back());
        parts.pop_back();
    } else {
        part = std::move(parts.front());
        parts.pop_front();
    }
    left = part.results.count;
    rest = InputBuffer(part.results.view());
    if (part.error) {
        try {
            error = part.error();
        } catch (...) { error = std::current_exception(); }  // no memory for it
    }
    return true;
}

void ImapStream::State::begin_error(std::exception_ptr thrown) {
    error = std::move(thrown);
    is_over = true;
}

// All that was written has been consumed, and there is no more.
ImapStream::Step ImapStream::State::finish() {
    is_over = true;
    if (!input_error) return Step::end;
    begin_error(std::exchange(input_error, nullptr));
    return Step::item;
}

ImapStream::ImapStream(PoolEngine& engine, const TaskTarget& target, ItemShape shape, const CallOptions& options,
                       Order order)
    : state_(std::make_unique<State>(engine, target, shape, options, order)) {}
ImapStream::~ImapStream() = default;

MapWriter& ImapStream::writer() noexcept { return state_->writer; }

void ImapStream::start(std::unique_ptr<ImapInput> input) {
    state_->input = std::move(input);
    state_->fill(true);
}

ImapStream::Step ImapStream::advance(std::optional<Timeout> timeout) {
    State& state = *state_;
    if (state.is_over) return Step::end;
    const os::Deadline deadline = deadline_or_never(timeout);
    state.fill(false);
    while (!state.begin_part()) {
        if (state.on_their_way() == 0) {
            if (!state.input) return state.finish();
            state.fill(false);
            continue;
        }
        if (!state.collect(deadline)) return Step::timeout;
        if (state.parts.empty() || !state.is_next_here()) {
            if (!state.call->is_done() || !state.call->has_error()) continue;
            // The pool ended. What has arrived in order was handed out.
            state.begin_error(state.call->error());
            return Step::item;
        }
    }
    --state.left;
    ++state.consumed;
    return Step::item;
}

InputBuffer& ImapStream::item() {
    if (state_->error) std::rethrow_exception(state_->error);
    return state_->rest;
}

void ImapStream::throw_timeout() const {
    throw TimeoutError("multiproc: the next result of " + state_->call->task().name + " is not there yet");
}

}  // namespace multiproc::detail
