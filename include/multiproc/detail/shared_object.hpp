/// @file
/// Small objects in memory that all processes of a program share: locks, queues, values. Internal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include <multiproc/buffer.hpp>
#include <multiproc/config.hpp>

namespace multiproc::detail {

/// What is in an object, so that a message cannot pass one thing off as another.
enum class ObjectKind : std::uint8_t {
    data = 1,
    lock,
    recursive_lock,
    semaphore,
    event,
    condition,
    barrier,
    queue,
    queue_ring,
    parcel,
    pipe_end,
    managed,
    stored_block,
};

class SharedObject;
/// This process's hold of an object: as long as there is one in some process, the object is there.
using ObjectRef = std::shared_ptr<SharedObject>;

/// A new object of so many bytes, all zero. Throws std::bad_alloc, std::system_error, and BootstrapError without
/// `freeze_support()`.
MULTIPROC_API ObjectRef make_object(ObjectKind kind, std::size_t bytes);
/// Its bytes. Throws ClosedError in a copy of the program that the host forked: the object is of another program there.
MULTIPROC_API std::byte* state_of(const SharedObject& object);
MULTIPROC_API std::size_t size_of(const SharedObject& object) noexcept;
MULTIPROC_API bool is_same_object(const SharedObject& a, const SharedObject& b) noexcept;

/// Writes a reference to the object.
MULTIPROC_API void encode_object(OutputBuffer& out, const ObjectRef& object);
/// Reads one and holds the object. Throws CodecError if there is no such object of this kind with at least so many bytes.
MULTIPROC_API ObjectRef decode_object(InputBuffer& in, ObjectKind kind, std::size_t bytes);

}  // namespace multiproc::detail
