/// @file
/// A value of any of Python's plain types, for containers of mixed contents.
///
/// ```cpp
/// std::vector<multiproc::Any> mixed{1, "two", 3.0, true, nullptr};
/// int one = mixed[0].as<int>();
/// std::cout << multiproc::Any(mixed) << '\n';      // [1, 'two', 3.0, True, None]
/// ```
///
/// It compares, orders and hashes as in Python: `Any(1) == Any(1.0)`. It travels like every other value.
#pragma once

#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <multiproc/codec.hpp>
#include <multiproc/config.hpp>

namespace multiproc {

class Any;

namespace detail {
[[noreturn]] MULTIPROC_API void throw_wrong_kind(const Any& value, const char* wanted);
[[noreturn]] MULTIPROC_API void throw_out_of_range(const Any& value, const char* wanted);
MULTIPROC_API std::int64_t whole_number(std::uint64_t value);
}  // namespace detail

/// None, a bool, an integer of 64 bits, a double, a string, a list, or a dict (in the order of insertion).
class MULTIPROC_API Any {
public:
    using List = std::vector<Any>;
    using Dict = std::vector<std::pair<Any, Any>>;

    /// None.
    Any() noexcept = default;
    Any(std::nullptr_t) noexcept {}  // NOLINT(google-explicit-constructor): `d[0.25] = nullptr`
    template <std::same_as<bool> T>
    Any(T value) noexcept : value_(value) {}  // NOLINT(google-explicit-constructor)
    /// Throws std::out_of_range for more than 63 bits.
    template <std::integral T>
        requires(!std::same_as<T, bool>)
    Any(T value) {  // NOLINT(google-explicit-constructor)
        if constexpr (std::is_signed_v<T>) {
            value_ = std::int64_t{value};
        } else {
            value_ = detail::whole_number(value);
        }
    }
    template <std::floating_point T>
    Any(T value) noexcept : value_(static_cast<double>(value)) {}  // NOLINT(google-explicit-constructor)
    Any(std::string value) noexcept : value_(std::move(value)) {}  // NOLINT(google-explicit-constructor)
    Any(std::string_view value) : value_(std::string(value)) {}    // NOLINT(google-explicit-constructor)
    Any(const char* value) : value_(std::string(value)) {}         // NOLINT(google-explicit-constructor)
    Any(List value) noexcept : value_(std::move(value)) {}         // NOLINT(google-explicit-constructor)
    Any(Dict value) noexcept : value_(std::move(value)) {}         // NOLINT(google-explicit-constructor)

    bool is_none() const noexcept { return value_.index() == 0; }
    /// Whether it is a bool, std::int64_t, double, std::string, List or Dict.
    template <class T>
    bool is() const noexcept {
        return std::holds_alternative<T>(value_);
    }

    /// It as a bool, a number, std::string, List or Dict. A whole number is also a floating-point one, and a bool is 0 or 1.
    /// Throws std::invalid_argument if it is of another kind, std::out_of_range if it does not fit `T`.
    template <class T>
    T as() const {
        if constexpr (std::same_as<T, bool>) {
            if (const bool* value = std::get_if<bool>(&value_)) return *value;
            detail::throw_wrong_kind(*this, "bool");
        } else if constexpr (std::integral<T>) {
            if (const bool* value = std::get_if<bool>(&value_)) return static_cast<T>(*value);
            const auto* const value = std::get_if<std::int64_t>(&value_);
            if (value == nullptr) detail::throw_wrong_kind(*this, "int");
            if (!std::in_range<T>(*value)) detail::throw_out_of_range(*this, "the integer type that is asked for");
            return static_cast<T>(*value);
        } else if constexpr (std::floating_point<T>) {
            if (const double* value = std::get_if<double>(&value_)) return static_cast<T>(*value);
            return static_cast<T>(as<std::int64_t>());
        } else {
            static_assert(std::same_as<T, std::string> || std::same_as<T, List> || std::same_as<T, Dict>,
                          "multiproc: an Any can be taken as a bool, a number, std::string, Any::List or Any::Dict");
            if (const T* value = std::get_if<T>(&value_)) return *value;
            constexpr bool is_list = std::same_as<T, List>;
            detail::throw_wrong_kind(*this, std::same_as<T, std::string> ? "str" : is_list ? "list" : "dict");
        }
    }

    /// As Python's `repr`.
    std::string repr() const;
    std::size_t hash() const noexcept;

    friend MULTIPROC_API bool operator==(const Any& a, const Any& b) noexcept;
    /// Orders numbers, strings and lists. Throws std::invalid_argument for other kinds, and for two of different kinds.
    friend MULTIPROC_API std::partial_ordering operator<=>(const Any& a, const Any& b);
    friend MULTIPROC_API std::ostream& operator<<(std::ostream& out, const Any& value);

private:
    friend struct detail::codec::Coder<Any>;
    using Value = std::variant<std::monostate, bool, std::int64_t, double, std::string, List, Dict>;
    Value value_;
};

}  // namespace multiproc

template <>
struct std::hash<multiproc::Any> {
    std::size_t operator()(const multiproc::Any& value) const noexcept { return value.hash(); }
};

namespace multiproc::detail::codec {
template <>
struct Coder<Any> {
    static constexpr Problem problem = Problem::none;
    using Parts = Types<>;
    static constexpr std::size_t min_size() { return 1; }
    static void put(Encoder& encoder, const Any& value) { codec::put(encoder, value.value_); }
    static Any get(Decoder& decoder) {
        Any value;
        value.value_ = codec::get<Any::Value>(decoder);
        return value;
    }
};
}  // namespace multiproc::detail::codec
