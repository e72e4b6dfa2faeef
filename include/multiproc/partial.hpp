/// @file
/// A callable with its first arguments filled in, that can travel to another process.
///
/// ```cpp
/// double scale(double factor, double x) { return factor * x; }
/// std::vector<double> r = pool.map(multiproc::partial(scale, 2.0), inputs);   // scale(2.0, x) for each x
/// ```
#pragma once

#include <tuple>
#include <utility>

#include <multiproc/detail/callable.hpp>

namespace multiproc {

/// What `partial` returns. Calling it calls `function` with copies of `bound` in front of the arguments given.
template <class F, class... Bound>
struct Partial {
    F function;
    std::tuple<Bound...> bound;

    template <class... Rest>
        requires std::is_invocable_v<const F&, const Bound&..., Rest...> ||
                 std::is_invocable_v<const F&, Bound..., Rest...>
    decltype(auto) operator()(Rest&&... rest) const {
        return std::apply(
            [&](const Bound&... values) -> decltype(auto) {
                if constexpr (std::is_invocable_v<const F&, const Bound&..., Rest...>) {
                    return function(values..., std::forward<Rest>(rest)...);
                } else {
                    return function(Bound(values)..., std::forward<Rest>(rest)...);  // a T&& parameter: give it a copy
                }
            },
            bound);
    }
};

namespace detail {

template <std::size_t N, class List>
struct Drop {
    using type = List;
};
template <std::size_t N, class First, class... Rest>
    requires(N > 0)
struct Drop<N, TypeList<First, Rest...>> : Drop<N - 1, TypeList<Rest...>> {};

// The parameters that are left.
template <class F, class... Bound>
    requires(Signature<F>::known)
struct Signature<Partial<F, Bound...>> {
    static constexpr bool known = true;
    using Parameters = typename Drop<sizeof...(Bound), typename Signature<F>::Parameters>::type;
};

template <class F, class... Params, class... Args, std::size_t... I>
auto bind_front_as(F&& f, std::index_sequence<I...>, TypeList<Params...>*, Args&&... args) {
    using All = std::tuple<Params...>;
    (assert_parameter<std::tuple_element_t<I, All>>(), ...);
    return Partial<std::decay_t<F>, storage_t<std::tuple_element_t<I, All>>...>{
        std::forward<F>(f), {convert<storage_t<std::tuple_element_t<I, All>>>(std::forward<Args>(args))...}};
}

}  // namespace detail

/// `f` with its first parameters set to `args`, converted now to the types the parameters have. The result is a value
/// that can be called, copied, and passed wherever the library takes a callable. Throws std::invalid_argument for an
/// empty function pointer. Thread-safe.
/// Source: Python's `functools.partial`.
template <class F, class... Args>
auto partial(F&& f, Args&&... args) {
    using Function = std::decay_t<F>;
    detail::assert_callable<Function>();
    if constexpr (detail::FunctionPointer<Function>) {
        const Function function = f;
        detail::require_function(reinterpret_cast<const void*>(function));
    }
    if constexpr (detail::Signature<Function>::known) {
        using Parameters = typename detail::Signature<Function>::Parameters;
        static_assert(sizeof...(Args) <= Parameters::size,
                      "multiproc: partial() got more arguments than the function has parameters");
        if constexpr (sizeof...(Args) <= Parameters::size) {
            return detail::bind_front_as(std::forward<F>(f), std::index_sequence_for<Args...>{},
                                         static_cast<Parameters*>(nullptr), std::forward<Args>(args)...);
        }
    } else {
        return Partial<Function, std::decay_t<Args>...>{std::forward<F>(f), {std::forward<Args>(args)...}};
    }
}

}  // namespace multiproc
