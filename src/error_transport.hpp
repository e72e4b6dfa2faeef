// An error on its way from the process that threw it to the one that catches it.
#pragma once

#include <cstdint>
#include <exception>
#include <string_view>

#include <multiproc/buffer.hpp>

namespace multiproc {

/// Writes the error that is being handled. Only in a catch block. `pid` and `task` say where it was thrown. Whatever
/// the error is, something arrives: an error that cannot be encoded becomes the nearest one that can. Throws only what
/// `out` throws, and std::bad_alloc.
void encode_current_exception(OutputBuffer& out, std::uint32_t pid, std::string_view task);

/// The error that was written: a Remote<E>. For bytes that are none it is a CodecError. Throws only std::bad_alloc.
std::exception_ptr decode_exception(InputBuffer& in);

}  // namespace multiproc
