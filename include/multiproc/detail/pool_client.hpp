/// @file
/// What Pool's templates and AsyncResult need of the pool that is compiled into the library. Internal.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <multiproc/buffer.hpp>
#include <multiproc/call_options.hpp>
#include <multiproc/codec.hpp>
#include <multiproc/config.hpp>
#include <multiproc/detail/task.hpp>
#include <multiproc/errors.hpp>

namespace multiproc::detail {

class PoolEngine;
class CallState;
struct ItemBlock;

template <class R>
struct VectorElement {
    using type = void;
};
template <class T, class A>
struct VectorElement<std::vector<T, A>> {
    using type = T;
};

/// Takes the results of consecutive items of a map, in order, as soon as they are there.
using ResultSink = std::function<void(std::span<const std::byte> bytes, std::uint32_t count)>;

/// What is run when a call is done.
struct Continuation {
    std::function<void()> run;
    Executor executor;  ///< where; empty: the pool's own thread for callbacks
    std::function<void(std::exception_ptr)> refused =
        {};  ///< run there instead if the executor throws; else it is told
};

/// What the items of a call look like.
struct ItemShape {
    bool fixed_size = false;             ///< every item has the same number of bytes; else each begins with its length
    std::size_t result_size = SIZE_MAX;  ///< bytes of each result; SIZE_MAX: it varies
};

/// One call of a pool, shared by everybody who is interested in its result.
class MULTIPROC_API CallHandle {
public:
    explicit CallHandle(CallState* adopted) noexcept : call_(adopted) {}
    CallHandle(const CallHandle& other) noexcept;
    CallHandle(CallHandle&& other) noexcept : call_(std::exchange(other.call_, nullptr)) {}
    CallHandle& operator=(CallHandle other) noexcept {
        std::swap(call_, other.call_);
        return *this;
    }
    ~CallHandle() {
        if (call_ != nullptr) release();
    }

    void wait() const;
    /// Returns whether it is done; false when `stopped` is true, of which `interrupt_waits` tells.
    bool wait_unless(const std::atomic<bool>& stopped) const;
    void interrupt_waits() const;
    bool wait_for(Timeout timeout) const;
    bool ready() const;
    bool successful() const;
    bool cancel() const;
    void then(Continuation continuation) const;
    [[noreturn]] void throw_timeout() const;
    std::uintptr_t identity() const noexcept { return reinterpret_cast<std::uintptr_t>(call_); }
    CallState* call() const noexcept { return call_; }

    /// The decoded result. Waits for it. Throws the call's error.
    template <class R>
    R value() const {
        [[maybe_unused]] InputBuffer single = await_result();
        if constexpr (!std::is_void_v<R>) {
            if constexpr (!std::is_void_v<typename VectorElement<R>::type>) {
                if (is_map()) return map_value<R>();
            }
            return decode_result<R>(single);
        }
    }

private:
    /// Results of consecutive items, as one worker sent them.
    struct Part {
        InputBuffer bytes;
        std::uint32_t count;
    };

    template <class R>
    R map_value() const {
        using T = typename VectorElement<R>::type;
        R values;
        values.reserve(item_count());
        for (std::size_t i = 0; i < part_count(); ++i) {
            Part p = part(i);
            for (std::uint32_t item = 0; item < p.count; ++item) values.push_back(decode_result<T>(p.bytes));
        }
        return values;
    }

    CallState& state() const;  // throws ClosedError if it was moved from
    InputBuffer await_result() const;
    bool is_map() const noexcept;
    std::size_t item_count() const noexcept;
    std::size_t part_count() const noexcept;
    Part part(std::size_t index) const noexcept;
    void release() noexcept;

    CallState* call_;
};

/// A message that begins on the stack, and moves to the heap and then to shared memory when it outgrows that.
class MULTIPROC_API TaskWriter final : public OutputBuffer {
public:
    explicit TaskWriter(PoolEngine& engine) noexcept;
    ~TaskWriter();

    /// The callable's fields come first.
    void callable_written() noexcept { prefix_ = size(); }
    void attach(const Attachment& attachment) override;
    /// Sends it, and waits for the result if asked to. Throws ClosedError or BrokenPool if the pool takes no work, and what
    /// its start throws.
    CallHandle submit(const TaskTarget& target, ItemShape shape, const CallOptions* options, bool waits);

private:
    void grow(std::size_t more) override;

    struct Spill;
    PoolEngine* engine_;
    std::unique_ptr<Spill> spill_;
    std::size_t prefix_ = 0;
    std::byte room_[256];
};

/// A call of many items while its arguments are written. Destroyed before `finish`, it withdraws what was not run yet.
class MULTIPROC_API MapWriter {
public:
    /// Throws ClosedError or BrokenPool if the pool takes no work, and what its start throws. `bounded`: the writer is
    /// held back while much is waiting. `sink`: takes the results as they come, under the pool's lock.
    MapWriter(PoolEngine& engine, const TaskTarget& target, ItemShape shape, const CallOptions& options, bool bounded,
              ResultSink sink = {});
    /// Writes the items of a call that was begun before: an imap's.
    MapWriter(PoolEngine& engine, CallHandle call, ItemShape shape);
    ~MapWriter();
    MapWriter(const MapWriter&) = delete;
    MapWriter& operator=(const MapWriter&) = delete;

    /// First the callable's fields are written here...
    OutputBuffer& callable() noexcept { return *out_; }
    void callable_written();
    /// ... then the items, one by one.
    OutputBuffer& item() noexcept { return *out_; }
    void item_written() {
        ++count_;
        const std::size_t size = out_->size();
        // A block ends when it is full, or when another item like this one would make it too large for a ring.
        if (size >= full_ || size + (size - item_start_) > ring_limit) {
            flush();
        } else {
            item_start_ = size;
            if (!out_->attachments().empty()) item_attached();
        }
    }
    /// Instead of items one by one: the items are this array, which stays as it is until the call is done.
    void items_are(const void* items, std::size_t item_size, std::uint64_t count);
    /// Forgets what was written of an item that could not be finished.
    void drop_item() noexcept { out_->truncate(item_start_); }
    /// Sends the items written so far.
    void send() {
        if (count_ != 0) flush();
    }
    std::uint32_t unsent() const noexcept { return count_; }
    /// How many were sent.
    std::uint64_t submitted() const noexcept { return submitted_; }
    CallHandle finish();
    /// The same, and waits for the results. Nothing of the caller's is used any more when it returns or throws.
    CallHandle finish_and_wait();

private:
    static constexpr std::size_t block_size = 24 * 1024;
    static constexpr std::size_t ring_limit = 32 * 1024;  // what a ring takes as one message

    void flush();
    void item_attached();
    void begin_block();
    std::shared_ptr<ItemBlock> make_block();

    struct Block;
    std::unique_ptr<Block> block_;
    OutputBuffer* out_ = nullptr;
    std::size_t full_ = block_size;
    std::size_t item_start_ = 0;
    std::size_t prefix_size_ = 0;
    std::uint32_t count_ = 0;
    std::uint64_t submitted_ = 0;
    bool finished_ = false;
    ItemShape shape_;
    PoolEngine* engine_;
    CallHandle call_;
};

/// Throws std::invalid_argument if that is no size for a chunk.
MULTIPROC_API Count check_chunk_size(Count chunk_size);

/// Memory that results will be written to.
MULTIPROC_API void expect_to_fill(void* memory, std::size_t size) noexcept;

template <class R>
using non_void_t = std::conditional_t<std::is_void_v<R>, char, R>;

/// Appends values that arrived as their bytes. Room for them was reserved, or is made now.
template <class T>
void append_bitwise(std::vector<T>& values, std::span<const std::byte> bytes, std::uint32_t count) {
    if (bytes.size() != count * sizeof(T)) throw CodecError("multiproc: a result has another size than its type");
    if constexpr (std::is_trivially_copyable_v<T> && !codec::holds_bool<T>()) {
        const auto* first = reinterpret_cast<const T*>(bytes.data());
        if (reinterpret_cast<std::uintptr_t>(first) % alignof(T) == 0) {
            values.insert(values.end(), first, first + count);
            return;
        }
    }
    InputBuffer in(bytes);
    for (std::uint32_t i = 0; i < count; ++i) values.push_back(decode<T>(in));
}

/// A call without arguments, stored: a pool's initializer or finalizer.
struct StoredCall {
    TaskTarget target;
    std::vector<std::byte> bytes;
    std::vector<Attachment> attachments;
    explicit operator bool() const noexcept { return target.descriptor != nullptr; }
};

/// Counts as one who uses the engine.
class MULTIPROC_API EngineRef {
public:
    EngineRef() noexcept = default;
    explicit EngineRef(PoolEngine* adopted) noexcept : engine_(adopted) {}
    EngineRef(const EngineRef& other) noexcept;
    EngineRef(EngineRef&& other) noexcept : engine_(std::exchange(other.engine_, nullptr)) {}
    EngineRef& operator=(EngineRef other) noexcept {
        std::swap(engine_, other.engine_);
        return *this;
    }
    ~EngineRef() {
        if (engine_ != nullptr) release();
    }
    PoolEngine* get() const noexcept { return engine_; }
    PoolEngine* operator->() const noexcept { return engine_; }
    explicit operator bool() const noexcept { return engine_ != nullptr; }
    /// Gives the reference up without ending it.
    PoolEngine* detach() noexcept { return std::exchange(engine_, nullptr); }

private:
    void release() noexcept;

    PoolEngine* engine_ = nullptr;
};

}  // namespace multiproc::detail
