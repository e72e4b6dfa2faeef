// Values as text, in the manner of Python's `repr`. Internal.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <multiproc/any.hpp>
#include <multiproc/config.hpp>

namespace multiproc::detail {

[[noreturn]] MULTIPROC_API void throw_no_key(const std::string& key);
[[noreturn]] MULTIPROC_API void throw_empty(const char* what);
[[noreturn]] MULTIPROC_API void throw_no_index(std::int64_t index, std::size_t size);
[[noreturn]] MULTIPROC_API void throw_no_value(const std::string& value);
[[noreturn]] MULTIPROC_API void throw_no_attribute(const std::string& name);

template <class A, class B>
std::string represent(const std::pair<A, B>& value);
template <class T>
std::string represent(const std::vector<T>& values);

/// What has no text of its own is "?".
template <class T>
std::string represent(const T& value) {
    if constexpr (requires { value.repr(); }) {
        return value.repr();
    } else if constexpr (std::integral<T> && !std::same_as<T, bool>) {
        return std::to_string(value);  // also what an Any has no room for
    } else if constexpr (std::constructible_from<Any, const T&>) {
        return Any(value).repr();
    } else {
        return "?";
    }
}
template <class A, class B>
std::string represent(const std::pair<A, B>& value) {
    return "(" + represent(value.first) + ", " + represent(value.second) + ")";
}
template <class T>
std::string represent(const std::vector<T>& values) {
    std::string text;
    for (const auto& value : values) text += (text.empty() ? "" : ", ") + represent(value);
    return "[" + text + "]";
}

}  // namespace multiproc::detail
