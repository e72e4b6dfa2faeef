/// @file
/// An array in memory that processes share: passed and returned without being copied, whatever its size.
///
/// ```cpp
/// void scale(multiproc::SharedArray<float> part, float factor) {
///     for (float& value : part) value *= factor;                       // the caller sees it
/// }
///
/// multiproc::SharedArray<float> samples(1'000'000'000);                // zeros; pages are taken as they are touched
/// std::vector<std::tuple<multiproc::SharedArray<float>, float>> parts;
/// for (std::size_t i = 0; i < 10; ++i) parts.emplace_back(samples.slice(i * 100'000'000, 100'000'000), 0.5f);
/// pool.starmap(scale, parts);
/// ```
///
/// A SharedArray is a handle: copies refer to the same elements, in this process and in every other one that was given
/// it. It can be an argument or a result of a task, alone or inside containers and aggregates. It has no name that
/// another program could open, and its memory is given back when the last process that uses it drops it, however these
/// processes end. A worker keeps an array that its tasks were given until the caller has dropped it, so that the next
/// task gets it for nothing; it lets go of it as soon as it looks for another task. One call or result can refer to up to
/// 1000 arrays; slices of one array count as one.
///
/// Two tasks that use the same elements at the same time race as two threads would: give each its own slice, or its own
/// array. What a task has written is seen by whoever gets its result.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include <multiproc/codec.hpp>
#include <multiproc/detail/elements.hpp>
#include <multiproc/detail/shared_block.hpp>

namespace multiproc {

/// `size()` elements of type `T` in memory that processes share. `T` is a number, an enum, or made of such without
/// pointers: what travels as its bytes (see codec.hpp).
///
/// Each function that sends it throws CodecError if a call or result has more than 1000 of them, and std::system_error if
/// the receiver has no descriptor or address space left for it.
///
/// Different objects may be used by different threads at once, also if they refer to the same elements. Each array that
/// was not made by `slice` or by copying holds one file descriptor or HANDLE in each process that uses it, so for
/// thousands of small arrays a `std::vector` serves better.
///
/// Source: numpy arrays over Python's `multiprocessing.shared_memory`, without names and without `unlink`.
template <class T>
class SharedArray : public detail::Elements<T> {
    using Base = detail::Elements<T>;
    using Base::data_, Base::size_;
    static_assert(std::is_same_v<T, std::remove_cv_t<T>>, "multiproc: SharedArray<T>: leave const and volatile out");
    static_assert(detail::codec::bits<T>,
                  "multiproc: the elements of a SharedArray must be values whose bytes mean the same in every process: "
                  "numbers, enums, and structs and std::arrays of these; or opt in with multiproc::bitwise<T>");

public:
    /// No elements. (What can be done with them is in detail/elements.hpp: it is what a std::span has, and a checked `at`.)
    SharedArray() noexcept = default;

    /// `size` elements, all of whose bytes are zero. Throws std::length_error if there is no such size,
    /// std::system_error if the system has no memory or descriptor left.
    explicit SharedArray(std::size_t size) : Base(nullptr, size) {
        if (size > SIZE_MAX / sizeof(T))
            throw std::length_error("multiproc: a SharedArray of " + std::to_string(size) + " elements is too large");
        if (size == 0) return;
        block_ = detail::make_shared_block(size * sizeof(T));
        data_ = reinterpret_cast<T*>(detail::data_of(*block_));
    }
    /// `size` copies of `value`. Throws as above.
    SharedArray(std::size_t size, const T& value) : SharedArray(size) { std::fill_n(data_, size_, value); }
    /// A copy of `values`. Throws as above.
    explicit SharedArray(std::span<const T> values) : SharedArray(values.size()) {
        std::copy(values.begin(), values.end(), data_);
    }

    SharedArray(const SharedArray&) noexcept = default;
    SharedArray(SharedArray&& other) noexcept
        : Base(std::exchange(other.data_, nullptr), std::exchange(other.size_, 0)), block_(std::move(other.block_)) {}
    SharedArray& operator=(SharedArray other) noexcept {
        std::swap(block_, other.block_);
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }

    /// The `count` elements from `first` on, in the same memory. They keep all of it alive. Throws std::out_of_range.
    SharedArray slice(std::size_t first, std::size_t count) const {
        if (first > size_ || count > size_ - first)
            throw std::out_of_range("multiproc: SharedArray::slice(" + std::to_string(first) + ", " +
                                    std::to_string(count) + ") of " + std::to_string(size_) + " elements");
        return count == 0 ? SharedArray() : SharedArray(block_, data_ + first, count);
    }

private:
    template <class>
    friend struct detail::codec::Coder;
    SharedArray(detail::BlockRef block, T* data, std::size_t size) noexcept
        : Base(data, size), block_(std::move(block)) {}

    detail::BlockRef block_;
};

template <class T>
SharedArray(std::span<T>) -> SharedArray<std::remove_cv_t<T>>;

}  // namespace multiproc

namespace multiproc::detail::codec {

template <class T>
struct Coder<SharedArray<T>> {
    static constexpr Problem problem = Problem::none;
    using Parts = Types<>;
    static constexpr std::size_t min_size() { return sizeof(std::uint64_t); }

    // Two numbers for a whole array, so that a call with one takes no more cache lines than a call with an integer.
    static constexpr std::uint64_t is_slice = std::uint64_t{1} << 63;

    static void put(Encoder& encoder, const SharedArray<T>& array) {
        if (array.size_ == 0) return encoder.number(std::uint64_t{0});
        const std::byte* const begin = data_of(*array.block_);
        const auto offset = static_cast<std::uint64_t>(reinterpret_cast<const std::byte*>(array.data_) - begin);
        encoder.number(std::uint64_t{array.size_} | (offset == 0 ? 0 : is_slice));
        encode_shared_block(encoder.out(), array.block_);
        if (offset != 0) encoder.number(offset);
    }

    static SharedArray<T> get(Decoder& decoder) {
        const auto head = decoder.number<std::uint64_t>();
        if (head == 0) return {};
        BlockRef block = decode_shared_block(decoder.in());
        const auto offset = (head & is_slice) != 0 ? decoder.number<std::uint64_t>() : 0;
        const std::uint64_t count = head & ~is_slice;
        if (count == 0 || offset % alignof(T) != 0 || !holds(*block, offset, count, sizeof(T)))
            throw_bad_slice(*block, offset, count, sizeof(T));
        T* const data = reinterpret_cast<T*>(data_of(*block) + offset);
        return SharedArray<T>(std::move(block), data, static_cast<std::size_t>(count));
    }
};

}  // namespace multiproc::detail::codec
