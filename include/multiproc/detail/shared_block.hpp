/// @file
/// Memory that several processes share, as SharedArray holds it. Internal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include <multiproc/buffer.hpp>
#include <multiproc/config.hpp>

namespace multiproc::detail {

class SharedBlock;
using BlockRef = std::shared_ptr<SharedBlock>;

/// A new block, all zeros. Its pages are taken from the system as they are touched. Throws std::system_error.
MULTIPROC_API BlockRef make_shared_block(std::size_t bytes);
MULTIPROC_API std::byte* data_of(const SharedBlock& block) noexcept;

/// Writes a reference to the block. Throws what handing it over throws.
MULTIPROC_API void encode_shared_block(OutputBuffer& out, const BlockRef& block);

/// Reads one, and finds the block in this process, which has it since the message arrived. Throws CodecError if no such
/// block was sent along, std::system_error if it was and could not be mapped.
MULTIPROC_API BlockRef decode_shared_block(InputBuffer& in);

/// Whether so many elements of so many bytes lie in the block at that offset.
MULTIPROC_API bool holds(const SharedBlock& block, std::uint64_t offset, std::uint64_t count,
                         std::size_t element) noexcept;
[[noreturn]] MULTIPROC_API void throw_bad_slice(const SharedBlock& block, std::uint64_t offset, std::uint64_t count,
                                                std::size_t element);

}  // namespace multiproc::detail
