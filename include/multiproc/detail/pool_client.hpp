/// @file
/// What Pool's templates and AsyncResult need of the pool that is compiled into the library. Internal.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <vector>

#include <multiproc/buffer.hpp>
#include <multiproc/codec.hpp>
#include <multiproc/config.hpp>
#include <multiproc/detail/task.hpp>

namespace multiproc::detail {

class PoolEngine;
class CallState;

template <class R>
struct VectorElement {
    using type = void;
};
template <class T, class A>
struct VectorElement<std::vector<T, A>> {
    using type = T;
};

/// One call of a pool, shared by everybody who is interested in its result.
class MULTIPROC_API CallHandle {
public:
    CallHandle(std::shared_ptr<PoolEngine> engine, std::shared_ptr<CallState> state, bool is_map) noexcept;

    void wait() const;
    bool wait_for(std::chrono::nanoseconds timeout) const;
    bool successful() const;
    [[noreturn]] void throw_timeout() const;

    /// The decoded result. The call must be ready.
    template <class R>
    R value() const {
        throw_error();
        if constexpr (std::is_void_v<R>) {
            return;
        } else {
            if constexpr (!std::is_void_v<typename VectorElement<R>::type>) {
                if (is_map_) return map_value<R>();
            }
            InputBuffer in(part(0).bytes);
            return decode<R>(in);
        }
    }

private:
    /// Results of consecutive items, as one worker sent them.
    struct Part {
        std::span<const std::byte> bytes;
        std::uint32_t count;
    };

    template <class R>
    R map_value() const {
        using T = typename VectorElement<R>::type;
        R values;
        values.reserve(item_count());
        for (std::size_t i = 0; i < part_count(); ++i) {
            const Part p = part(i);
            InputBuffer in(p.bytes);
            for (std::uint32_t item = 0; item < p.count; ++item) values.push_back(decode<T>(in));
        }
        return values;
    }

    void throw_error() const;
    std::size_t item_count() const noexcept;
    std::size_t part_count() const noexcept;
    Part part(std::size_t index) const noexcept;

    std::shared_ptr<PoolEngine> engine_;
    std::shared_ptr<CallState> state_;
    bool is_map_;
};

/// A call while its arguments are written. Destroyed before `finish`, it withdraws what was not run yet.
class MULTIPROC_API CallWriter {
public:
    struct Options {
        std::size_t chunk_size = 0;  ///< items sent to a worker at once, at most; 0: as the pool sees fit
        bool is_map = false;
        bool fixed_size_items = false;  ///< every item has the same number of bytes; else each begins with its length
        bool bounded = false;           ///< hold the writer back while much is waiting
    };

    /// Throws ClosedError or BrokenPool if the pool takes no work, and what its start throws.
    CallWriter(std::shared_ptr<PoolEngine> engine, const TaskTarget& target, Options options);
    ~CallWriter();
    CallWriter(const CallWriter&) = delete;
    CallWriter& operator=(const CallWriter&) = delete;

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
        }
    }
    CallHandle finish();

private:
    static constexpr std::size_t block_size = 24 * 1024;
    static constexpr std::size_t ring_limit = 32 * 1024;  // what a ring takes as one message

    void flush();
    void begin_block();

    struct Block;
    std::unique_ptr<Block> block_;
    OutputBuffer* out_ = nullptr;
    std::size_t full_ = block_size;
    std::size_t item_start_ = 0;
    std::size_t prefix_size_ = 0;
    std::uint32_t count_ = 0;
    bool finished_ = false;
    Options options_;
    std::shared_ptr<PoolEngine> engine_;
    std::shared_ptr<CallState> state_;
};

/// Type-erased call without arguments: a pool's initializer or finalizer.
class MULTIPROC_API StoredCall {
public:
    StoredCall() = default;
    TaskTarget target;
    std::vector<std::byte> bytes;
    explicit operator bool() const noexcept { return target.descriptor != nullptr; }
};

}  // namespace multiproc::detail
