// One call of a pool: a single task, or the items of a map. Guarded by its pool's mutex until `is_done`, then constant.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <multiproc/detail/pool_client.hpp>

#include "callback_thread.hpp"
#include "completion_queue.hpp"
#include "result_record.hpp"
#include "segment_cache.hpp"
#include "task_ref.hpp"

namespace multiproc::detail {

// How long the items of one task take, learned from results.
struct TaskStats {
    double nanoseconds_per_item = 0;  // 0: not known yet
    double encoding_per_item = 0;     // how much of that is decoding the arguments and encoding the result

    void learn(double sample, double encoding) noexcept {
        const double old = nanoseconds_per_item == 0 ? 0 : 0.75;
        nanoseconds_per_item = nanoseconds_per_item * old + sample * (1 - old);
        encoding_per_item = encoding_per_item * old + encoding * (1 - old);
    }
};

// Makes an error anew for everybody who asks: threads must not share one exception object.
using ErrorMaker = std::function<std::exception_ptr()>;
template <class E>
ErrorMaker maker_of(E error) {
    return [error = std::move(error)] { return std::make_exception_ptr(error); };
}

// Of an error that arrived encoded.
ErrorMaker decoder_of(std::vector<std::byte> encoded);

// The worker may use it for its next result.
void give_back(std::shared_ptr<os::Segment>& segment) noexcept;

// Results of consecutive items.
struct ResultPart {
    std::uint64_t first = 0;
    std::uint32_t count = 0;
    std::unique_ptr<std::byte[]> bytes;
    std::size_t size = 0;
    std::shared_ptr<os::Segment> segment;
    std::vector<Attachment> blocks;  // that the results refer to...
    Attachment block;                // ... or one

    ResultPart() = default;
    explicit ResultPart(ResultMessage& message);
    ResultPart(ResultPart&&) noexcept = default;
    ResultPart& operator=(ResultPart&& other) noexcept;
    ~ResultPart() { release_segment(); }
    void release_segment() noexcept;
    std::span<const Attachment> attachments() const noexcept {
        return block ? std::span<const Attachment>(&block, 1) : std::span<const Attachment>(blocks);
    }
    std::span<const std::byte> view() const noexcept {
        return {segment ? segment->data() + segment_payload : bytes.get(), size};
    }
};

// What one worker sent of an imap: results, or the error of one item.
struct StreamPart {
    ResultPart results;
    ErrorMaker error;
};

// Who is told of a call's end by an entry in a queue.
struct Listener {
    std::shared_ptr<CompletionQueue> queue;
    std::size_t index = 0;  // of the call, there
};

// What a small single task has no need of. A job of the callback thread, because what the user gave is destroyed there.
struct CallDetails final : CallbackThread::Job {
    CallOptions options;
    bool is_map = false;
    bool is_internal = false;            // a pool's initializer or finalizer
    bool is_complete = false;            // all items are written
    std::uint64_t items = 0;             // written so far
    std::uint64_t finished = 0;          // of them with a result or error
    std::uint64_t waiting = 0;           // of them not handed to a worker
    std::uint64_t waiting_segments = 0;  // messages too big for a ring among them

    ResultSink sink;  // takes results as they come, in order, instead of `parts`
    std::uint64_t sunk = 0;
    std::vector<ResultPart> parts;

    bool is_stream = false;           // an imap: what has arrived is taken out while it runs
    std::vector<StreamPart> arrived;  // and not taken yet

    ErrorMaker error;
    std::uint64_t error_index = 0;
    os::Clock::time_point begun = os::Clock::now();
    bool is_reporting = false;  // a report of progress is on its way
    CallbackThread::Jobs continuations;
    std::vector<Listener> listeners;
    std::size_t interest = 0;   // how many of these there are, and reports of progress
    bool is_announced = false;  // its end was told to all of them

    bool has_user_code() const noexcept { return options.executor || options.on_progress || !continuations.is_empty(); }
};

class CallState {
public:
    CallState(PoolEngine& engine, const TaskRef& task) noexcept : engine_(&engine), task_(&task) {}
    CallState(const CallState&) = delete;
    CallState& operator=(const CallState&) = delete;

    void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
    // The same for a call that one thread alone can have: no other processor takes part in the counting.
    void retain_unshared() noexcept {
        references_.store(references_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    void release() noexcept;

    PoolEngine& engine() const noexcept { return *engine_; }
    const TaskRef& task() const noexcept { return *task_; }
    bool is_done() const noexcept { return done_.load(std::memory_order_acquire); }

    CallDetails* details() const noexcept { return details_.get(); }
    CallDetails& need_details() {
        if (!details_) details_ = std::make_unique<CallDetails>();
        return *details_;
    }
    // Of a call that nobody else knows yet.
    void set_details(std::unique_ptr<CallDetails> details) noexcept { details_ = std::move(details); }
    bool is_internal() const noexcept { return details_ && details_->is_internal; }
    bool is_map() const noexcept { return details_ && details_->is_map; }
    const CallOptions& options() const noexcept;

    // The result of a single task that is small enough to be kept here; `size` is at most `small_result`.
    static constexpr std::size_t small_result = 32;
    // One that refers to a block: the pointer to what holds that stands behind it.
    static constexpr std::size_t small_result_with_block = small_result - sizeof(Attachment*);
    void set_small_result(const std::byte* bytes, std::size_t size) noexcept {
        std::memcpy(small_, bytes, size);
        small_size_ = static_cast<std::uint8_t>(size);
        done_.store(true, std::memory_order_release);
    }
    // Takes what the message holds.
    void add_results(std::uint64_t first, ResultMessage& message);
    // Item `index` failed. Of several errors that of the first item counts.
    void add_error(std::uint64_t index, ErrorMaker error);
    // All of it fails, now.
    void fail(ErrorMaker error);
    void complete_input();

    // Once done.
    bool has_error() const noexcept { return details_ && details_->error; }
    // A new exception object for every caller.
    std::exception_ptr error() const { return details_->error(); }
    InputBuffer single_result() const noexcept {
        if (details_ && !details_->parts.empty())
            return InputBuffer(details_->parts.front().view(), details_->parts.front().attachments());
        return InputBuffer({small_, small_size_}, small_block());
    }

private:
    friend class CallSlab;
    ~CallState() {
        if (has_small_block_) delete small_block().data();
    }
    std::span<const Attachment> small_block() const noexcept {
        const Attachment* block = nullptr;
        if (!has_small_block_) return {};
        std::memcpy(&block, small_ + small_result_with_block, sizeof block);
        return {block, 1};
    }
    void hold_small_block(Attachment block);
    void sink_parts();
    void settle();

    std::atomic<std::uint32_t> references_{1};
    std::atomic<bool> done_{false};
    std::uint8_t small_size_ = 0;
    bool has_small_block_ = false;
    std::byte small_[small_result];
    PoolEngine* engine_;
    const TaskRef* task_;
    std::unique_ptr<CallDetails> details_;
};
static_assert(sizeof(CallState) <= 64 || sizeof(void*) != 8);  // a cache line: there may be millions

// Counts as one who is interested in the call.
class CallRef {
public:
    CallRef() noexcept = default;
    explicit CallRef(CallState* adopted) noexcept : call_(adopted) {}
    CallRef(const CallRef& other) noexcept : call_(other.call_) {
        if (call_ != nullptr) call_->retain();
    }
    CallRef(CallRef&& other) noexcept : call_(std::exchange(other.call_, nullptr)) {}
    CallRef& operator=(CallRef other) noexcept {
        std::swap(call_, other.call_);
        return *this;
    }
    ~CallRef() {
        if (call_ != nullptr) call_->release();
    }
    CallState* get() const noexcept { return call_; }
    CallState* operator->() const noexcept { return call_; }
    CallState& operator*() const noexcept { return *call_; }
    explicit operator bool() const noexcept { return call_ != nullptr; }
    CallState* detach() noexcept { return std::exchange(call_, nullptr); }

private:
    CallState* call_ = nullptr;
};

// Where the calls of a pool live: allocated under the pool's mutex, given back from any thread.
class CallSlab {
public:
    CallSlab() = default;
    CallSlab(const CallSlab&) = delete;
    CallSlab& operator=(const CallSlab&) = delete;

    CallState* allocate(PoolEngine& engine, const TaskRef& task);
    // Its details are the caller's, who knows where to destroy them.
    std::unique_ptr<CallDetails> recycle(CallState* call) noexcept;

private:
    union Cell {
        Cell() noexcept {}
        ~Cell() {}
        Cell* next;
        alignas(CallState) std::byte place[sizeof(CallState)];
    };
    static constexpr std::size_t cells_per_chunk = 64;

    std::vector<std::unique_ptr<Cell[]>> chunks_;
    Cell* free_ = nullptr;
    std::atomic<Cell*> returned_{
        nullptr};  // pushed singly, taken all at once, so an address that comes back does no harm
};

}  // namespace multiproc::detail
