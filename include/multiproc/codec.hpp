/// @file
/// Values to bytes and back.
///
/// ```cpp
/// struct Job { std::string name; std::vector<double> samples; std::optional<int> limit; };   // no macro needed
///
/// multiproc::HeapBuffer out;
/// multiproc::encode(out, Job{"a", {1, 2, 3}, {}}, 42);
/// multiproc::InputBuffer in(out.bytes());
/// auto [job, number] = multiproc::decode_all<Job, int>(in);
/// ```
///
/// What can travel:
///  - numbers, enums, `std::string` and its relatives, `std::filesystem::path`, `std::chrono` durations and time
///    points, `std::complex`, `std::bitset`, `std::error_code`
///  - the containers, `pair`, `tuple`, `optional`, `variant` and the smart pointers of the standard library
///  - plain aggregates of these (structs without constructors, bases and private members), C arrays in them included
///  - classes with cereal functions: `serialize`, or `save` and `load`, as members or free functions, also versioned
///  - trivially copyable classes that opt in with `template <> struct multiproc::bitwise<Foo> : std::true_type {};`
///  - objects of classes without members, such as lambdas without captures
///
/// `std::shared_ptr`s that share an object in one message share it at the other end. A pointer to an object of a
/// derived class, and objects that hold themselves, are a CodecError. Both ends run the same build of the program, so
/// there is no versioning and no byte order.
///
/// Bytes are not trusted: every length, index and flag is checked before it is used, and nothing is allocated that the
/// message's own size does not account for. A CodecError says what was wrong.
#pragma once

#include <tuple>
#include <type_traits>

#include <multiproc/buffer.hpp>
#include <multiproc/detail/codec_archive.hpp>
#include <multiproc/detail/codec_bits.hpp>
#include <multiproc/detail/codec_ranges.hpp>
#include <multiproc/detail/codec_values.hpp>
#include <multiproc/errors.hpp>

namespace multiproc {

/// Whether `T` can be encoded and decoded. False, not an error, for types that cannot; a class with cereal functions
/// counts as encodable whatever these do.
template <class T>
inline constexpr bool is_encodable_v = detail::codec::verdict_t<T>::problem == detail::codec::Problem::none;

/// Does not compile if `T` cannot travel, with a message that says why not and what to do instead.
template <class T>
constexpr void assert_encodable() {
    using Verdict = detail::codec::verdict_t<T>;
    static_assert(detail::codec::refuse<Verdict::problem, typename Verdict::Offender, T>());
}

/// Appends `values` to `out`, as one message: pointers shared among them stay shared. Throws CodecError for what shows
/// only at run time (a valueless variant, a cycle, an object of a derived class, more than 500 levels of nesting), what
/// a class's own functions throw, and what `out` throws when it cannot grow; then `out` may hold part of the message.
template <class... Ts>
void encode(OutputBuffer& out, const Ts&... values) {
    (assert_encodable<Ts>(), ...);
    if constexpr ((detail::codec::bits<Ts> && ...)) {
        (out.write(&values, sizeof values), ...);  // what `put` comes to, where many small values pass
    } else if constexpr ((is_encodable_v<Ts> && ...)) {
        detail::codec::Encoder encoder(out);
        (detail::codec::put(encoder, values), ...);
    }
}

/// Reads one value from `in`; what follows it stays there. Throws CodecError when the bytes are no such value.
template <class T>
T decode(InputBuffer& in) {
    assert_encodable<T>();
    if constexpr (is_encodable_v<T>) {
        detail::codec::Decoder decoder(in);
        return detail::codec::get<T>(decoder);
    }
}

/// Reads what one `encode(out, values...)` wrote. Throws CodecError when the bytes are no such values.
template <class... Ts>
std::tuple<Ts...> decode_all(InputBuffer& in) {
    (assert_encodable<Ts>(), ...);
    if constexpr ((is_encodable_v<Ts> && ...)) {
        [[maybe_unused]] detail::codec::Decoder decoder(in);
        return std::tuple<Ts...>{detail::codec::get<Ts>(decoder)...};
    }
}

}  // namespace multiproc
