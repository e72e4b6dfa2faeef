// Plain aggregates: which types they are and what they are made of. Internal.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

#include <multiproc/detail/codec_tie.hpp>

namespace multiproc::detail::codec {

template <class... Ts>
struct Types {
    static constexpr std::size_t size = sizeof...(Ts);
};

// Converts to the bases of T only. An aggregate with a base takes it first in its braces.
template <class T>
struct AnyBaseOf {
    template <class U>
        requires(std::is_base_of_v<U, T> && !std::is_same_v<U, T>)
    operator U() const;
};
// What takes this takes everything, so that taking an AnyBaseOf says nothing.
struct Nothing {};

template <class T>
concept AggregateClass = std::is_class_v<T> && std::is_aggregate_v<T>;

template <class T>
concept HasBase = requires { T{AnyBaseOf<T>{}}; } && !requires { T{Nothing{}}; };

template <class T>
concept BraceInitializable = requires { T{}; };

template <class T, std::size_t N = 0>
constexpr std::size_t count_fields() {
    if constexpr (takes_braces<T, N + 1>) {
        return count_fields<T, N + 1>();
    } else {
        return N;
    }
}

template <class T>
inline constexpr std::size_t field_count = count_fields<T>();

/// A class whose members the codec can see: no constructors, no bases, default values for all members.
template <class T>
concept PlainAggregate = AggregateClass<T> && BraceInitializable<T> && !HasBase<T> &&
                         (std::is_empty_v<T> || field_count<T> > 0) && (field_count<T> <= max_fields);

struct CollectTypes {
    template <class... Fs>
    constexpr Types<Fs...> operator()(const Fs&...) const {
        return {};
    }
};

/// The types of the members of a plain aggregate, arrays as arrays.
template <PlainAggregate T>
using fields_t = decltype(Tie<field_count<T>>::apply(std::declval<const T&>(), CollectTypes{}));

template <class Fields>
inline constexpr bool has_array = false;
template <class... Fs>
inline constexpr bool has_array<Types<Fs...>> = (std::is_array_v<Fs> || ...);

}  // namespace multiproc::detail::codec
