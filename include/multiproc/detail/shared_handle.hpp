/// @file
/// The base of what refers to an object in shared memory. Internal.
#pragma once

#include <cstddef>
#include <utility>

#include <multiproc/codec.hpp>
#include <multiproc/config.hpp>
#include <multiproc/detail/shared_object.hpp>

namespace multiproc::detail {

/// Copies refer to the same object; so does what a message carries to another process. Moving copies: there is no handle
/// without an object.
class SharedHandle {
public:
    /// Whether both refer to the same object.
    friend bool operator==(const SharedHandle& a, const SharedHandle& b) noexcept {
        return is_same_object(*a.object_, *b.object_);
    }

protected:
    explicit SharedHandle(ObjectRef object) noexcept : object_(std::move(object)) {}
    SharedHandle(const SharedHandle&) noexcept = default;
    SharedHandle& operator=(const SharedHandle&) noexcept = default;
    ~SharedHandle() = default;

    /// What is in it. Throws ClosedError in a copy of the program that the host forked.
    std::byte* state() const { return state_of(*object_); }
    const ObjectRef& object() const noexcept { return object_; }

private:
    friend struct HandleAccess;
    ObjectRef object_;
};

/// Marks the constructors that take an object, which the number 0 could be taken for.
struct OfObject {};

struct HandleAccess {
    static const ObjectRef& object(const SharedHandle& handle) noexcept { return handle.object_; }
    template <class T>
    static T make(ObjectRef object) {
        return T(OfObject{}, std::move(object));
    }
};

/// Of a handle `T` that is nothing but an object: it has `kind`, `state_size()` and a constructor from an ObjectRef.
template <class T>
struct HandleCoder {
    static constexpr codec::Problem problem = codec::Problem::none;
    using Parts = codec::Types<>;
    static constexpr std::size_t min_size() { return sizeof(std::uint64_t); }

    static void put(codec::Encoder& encoder, const T& handle) {
        encode_object(encoder.out(), HandleAccess::object(handle));
    }
    static T get(codec::Decoder& decoder) {
        return HandleAccess::make<T>(decode_object(decoder.in(), T::kind, T::state_size()));
    }
};

}  // namespace multiproc::detail
