// Values that travel as their bytes. Internal.
#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <complex>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <limits>

#include <multiproc/buffer.hpp>
#include <multiproc/detail/codec_cereal.hpp>
#include <multiproc/detail/codec_fields.hpp>

namespace multiproc {

/// Opt-in for a type whose bytes say everything: `template <> struct multiproc::bitwise<Foo> : std::true_type {};`. It
/// must be trivially copyable, and must not hold pointers, handles or anything else that means nothing in another
/// process.
template <class T>
struct bitwise : std::false_type {};

}  // namespace multiproc

namespace multiproc::detail::codec {

template <class T>
constexpr bool opted_in() {
    if constexpr (bitwise<T>::value) {
        static_assert(std::is_trivially_copyable_v<T>,
                      "multiproc: multiproc::bitwise<T> is for trivially copyable types only; this one has a "
                      "constructor, destructor or member that copying its bytes would bypass. Give it a cereal "
                      "serialize() instead");
        return true;
    } else {
        return false;
    }
}

// The 80-bit long double of x86 has padding; its bytes are written field by field, with zeros there.
template <class T>
inline constexpr bool padded_float = std::is_same_v<T, long double> && std::numeric_limits<T>::digits == 64;

template <class T>
constexpr bool is_bits();

// What a fixed number of equal values is made of; void for everything else.
template <class T>
struct PackOf {
    using type = void;
};
template <class T, std::size_t N>
    requires(N > 0)
struct PackOf<T[N]> {
    using type = std::remove_all_extents_t<T>;
};
template <class T, std::size_t N>
    requires(N > 0)
struct PackOf<std::array<T, N>> {
    using type = T;
};
template <class T>
struct PackOf<std::array<T, 0>> {
    using type = Nothing;  // an aggregate that has no members to look at
};
template <class T>
struct PackOf<std::complex<T>> {
    using type = T;
};
template <class Rep, class Period>
struct PackOf<std::chrono::duration<Rep, Period>> {
    using type = Rep;
};
template <class Clock, class Duration>
struct PackOf<std::chrono::time_point<Clock, Duration>> {
    using type = Duration;
};

template <class T>
constexpr bool holds_bool();

template <class T, class... Fs>
constexpr bool fields_are_bits(Types<Fs...>) {
    if constexpr (sizeof...(Fs) == 0) {
        return false;
    } else if constexpr (!(is_bits<Fs>() && ...)) {
        return false;
    } else if constexpr ((sizeof(Fs) + ...) != sizeof(T)) {
        return false;
    } else {
        // A bool is checked where it lies, so it must lie where the sizes of the members before it say, and that is
        // sure only where no bit is unused (bit-fields leave some).
        return !(holds_bool<Fs>() || ...) || std::has_unique_object_representations_v<T>;
    }
}

template <class T>
constexpr bool is_bits() {
    using Pack = typename PackOf<T>::type;
    if constexpr (std::is_const_v<T> || std::is_volatile_v<T>) {
        return false;
    } else if constexpr (std::is_arithmetic_v<T>) {
        return !padded_float<T>;
    } else if constexpr (std::is_enum_v<T>) {
        return true;
    } else if constexpr (std::is_class_v<T> || std::is_array_v<T> || std::is_union_v<T>) {
        if constexpr (opted_in<T>()) {
            return true;
        } else if constexpr (!std::is_trivially_copyable_v<T>) {
            return false;
        } else if constexpr (!std::is_void_v<Pack>) {
            return is_bits<Pack>();
        } else if constexpr (AggregateClass<T> && cereal_form<T> == CerealForm::none) {
            if constexpr (PlainAggregate<T>) {
                return fields_are_bits<T>(fields_t<T>{});
            } else {
                return false;
            }
        } else {
            return false;
        }
    } else {
        return false;
    }
}

template <class T>
inline constexpr bool bits = is_bits<T>();

template <class... Fs>
constexpr bool any_bool(Types<Fs...>) {
    return (holds_bool<Fs>() || ...);
}

template <class T>
constexpr bool is_bool_like() {
    if constexpr (std::is_enum_v<T>) {
        return std::is_same_v<std::underlying_type_t<T>, bool>;
    } else {
        return std::is_same_v<T, bool>;
    }
}

/// Whether some bytes of a `T` (which travels as its bytes) must be 0 or 1.
template <class T>
constexpr bool holds_bool() {
    using Pack = typename PackOf<T>::type;
    if constexpr (is_bool_like<T>()) {
        return true;
    } else if constexpr (std::is_scalar_v<T> || opted_in<T>()) {
        return false;
    } else if constexpr (!std::is_void_v<Pack>) {
        return holds_bool<Pack>();
    } else if constexpr (PlainAggregate<T>) {
        return any_bool(fields_t<T>{});
    } else {
        return false;
    }
}

template <class T>
bool bools_valid(const std::byte* place) noexcept;

template <class... Fs>
bool field_bools_valid(const std::byte* place, Types<Fs...>) noexcept {
    std::size_t offset = 0;
    return ((offset += sizeof(Fs), bools_valid<Fs>(place + offset - sizeof(Fs))) && ...);
}

/// Whether each bool of the `T` whose bytes are at `place` is 0 or 1; to read another value is undefined.
template <class T>
bool bools_valid(const std::byte* place) noexcept {
    using Pack = typename PackOf<T>::type;
    if constexpr (!holds_bool<T>()) {
        return true;
    } else if constexpr (is_bool_like<T>()) {
        static_assert(sizeof(T) == 1);
        return std::to_integer<unsigned>(*place) <= 1;
    } else if constexpr (!std::is_void_v<Pack>) {
        bool valid = true;
        for (std::size_t at = 0; at != sizeof(T); at += sizeof(Pack)) valid = valid && bools_valid<Pack>(place + at);
        return valid;
    } else {
        return field_bools_valid(place, fields_t<T>{});
    }
}

[[noreturn]] MULTIPROC_API void throw_bad_bool();

template <class T>
void check_bools(const std::byte* place, std::size_t count) {
    if constexpr (holds_bool<T>()) {
        for (std::size_t i = 0; i != count; ++i) {
            if (!bools_valid<T>(place + i * sizeof(T))) throw_bad_bool();
        }
    }
}

/// The `T` whose bytes are at `place`, which need not be aligned. Only the copy is looked at: the memory may be shared with
/// a process that still writes to it.
template <class T>
T from_bits(const std::byte* place) {
    if constexpr (std::is_trivially_default_constructible_v<T>) {
        T value;
        std::memcpy(static_cast<void*>(&value), place, sizeof value);
        check_bools<T>(reinterpret_cast<const std::byte*>(&value), 1);
        return value;
    } else {
        std::array<std::byte, sizeof(T)> copy;
        std::memcpy(copy.data(), place, sizeof(T));
        check_bools<T>(copy.data(), 1);
        return std::bit_cast<T>(copy);
    }
}

}  // namespace multiproc::detail::codec

namespace multiproc {

/// Whether a `T` travels as its bytes, so that a contiguous range of them is one copy: numbers, enums, arrays and plain
/// aggregates of such without padding, and what opted in through `bitwise`.
template <class T>
inline constexpr bool is_bitwise_v = detail::codec::is_bits<T>();

}  // namespace multiproc
