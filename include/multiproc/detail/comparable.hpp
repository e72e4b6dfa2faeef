// Whether values can be compared, looking into containers: a std::vector has operators whatever it is of. Internal.
#pragma once

#include <concepts>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace multiproc::detail {

template <class T>
struct Comparing {
    static constexpr bool equal = std::equality_comparable<T>;
    static constexpr bool ordered = requires(const T& a) { static_cast<bool>(a < a); };
};
template <class T>
    requires requires { typename T::value_type; } && (!std::same_as<T, typename T::value_type>)
struct Comparing<T> {
    using Element = Comparing<std::remove_cv_t<typename T::value_type>>;
    static constexpr bool equal = Element::equal && std::equality_comparable<T>;
    static constexpr bool ordered = [] {
        if constexpr (Element::ordered) {
            return requires(const T& a) { static_cast<bool>(a < a); };
        } else {
            return false;
        }
    }();
};
template <class... Ts>
struct Comparing<std::tuple<Ts...>> {
    static constexpr bool equal = (Comparing<std::remove_cv_t<Ts>>::equal && ...);
    static constexpr bool ordered = (Comparing<std::remove_cv_t<Ts>>::ordered && ...);
};
template <class A, class B>
struct Comparing<std::pair<A, B>> : Comparing<std::tuple<A, B>> {};

template <class T>
inline constexpr bool is_comparable = Comparing<T>::equal;
template <class T>
inline constexpr bool is_ordered = Comparing<T>::ordered;

}  // namespace multiproc::detail
