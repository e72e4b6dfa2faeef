/// @file
/// Plain bytes in memory that processes share.
///
/// ```cpp
/// void fill(multiproc::SharedMemory memory) { std::ranges::fill(memory.buf(), std::byte{7}); }
///
/// multiproc::SharedMemory memory(1 << 20);                   // a mebibyte of zeros
/// multiproc::Process process(fill, memory);
/// ```
///
/// Of elements of a type SharedArray is the better choice. This is for what has a layout of its own, such as containers
/// of Boost.Interprocess: `managed_external_buffer(create_only, memory.data(), memory.size())` in one process and
/// `open_only` in the others.
#pragma once

#include <cstddef>
#include <span>
#include <utility>

#include <multiproc/codec.hpp>
#include <multiproc/config.hpp>
#include <multiproc/shared_array.hpp>

namespace multiproc {

/// A handle: copies refer to the same bytes, in this process and in every other one that was given it. Anonymous, so there
/// is nothing to unlink: it is gone with the last handle, however its users end. Aligned to a page.
///
/// Different objects may be used by different threads at once, also if they refer to the same bytes. What holds for
/// sending a SharedArray holds for it, too.
/// Source: Python's `multiprocessing.shared_memory.SharedMemory`.
class SharedMemory {
public:
    /// None.
    SharedMemory() noexcept = default;
    /// `size` zero bytes. Throws std::length_error if there is no such size, std::system_error if the system has no memory or
    /// descriptor left.
    explicit SharedMemory(std::size_t size) : bytes_(size) {}

    std::span<std::byte> buf() const noexcept { return bytes_; }
    std::byte* data() const noexcept { return bytes_.data(); }
    std::size_t size() const noexcept { return bytes_.size(); }
    /// Lets go of it: this handle refers to none then.
    void close() noexcept { bytes_ = {}; }

private:
    friend struct detail::codec::Coder<SharedMemory>;
    explicit SharedMemory(SharedArray<std::byte> bytes) noexcept : bytes_(std::move(bytes)) {}
    SharedArray<std::byte> bytes_;
};

}  // namespace multiproc

namespace multiproc::detail::codec {

template <>
struct Coder<SharedMemory> {
    using Bytes = Coder<SharedArray<std::byte>>;
    static constexpr Problem problem = Problem::none;
    using Parts = Types<>;
    static constexpr std::size_t min_size() { return Bytes::min_size(); }

    static void put(Encoder& encoder, const SharedMemory& memory) { Bytes::put(encoder, memory.bytes_); }
    static SharedMemory get(Decoder& decoder) { return SharedMemory(Bytes::get(decoder)); }
};

}  // namespace multiproc::detail::codec
