/// @file
/// What can be run in another process, its parameters and its result. Internal: the messages here are what a user sees
/// when something cannot travel.
#pragma once

#include <concepts>
#include <functional>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <multiproc/codec.hpp>
#include <multiproc/config.hpp>
#include <multiproc/errors.hpp>

namespace multiproc {
template <class F, class... Bound>
struct Partial;
}

namespace multiproc::detail {

template <class T>
inline constexpr bool always_false = false;

template <class... Ts>
struct TypeList {
    static constexpr std::size_t size = sizeof...(Ts);
};

// ---- the signature of a callable, where it has exactly one ----

template <class F>
struct Signature {
    static constexpr bool known = false;
};

template <class R, class... Params>
struct KnownSignature {
    static constexpr bool known = true;
    using Parameters = TypeList<Params...>;
};

template <class R, class... Params>
struct Signature<R (*)(Params...)> : KnownSignature<R, Params...> {};
template <class R, class... Params>
struct Signature<R (*)(Params...) noexcept> : KnownSignature<R, Params...> {};

template <class Member>
struct CallOperator;
template <class F, class R, class... Params>
struct CallOperator<R (F::*)(Params...)> : KnownSignature<R, Params...> {};
template <class F, class R, class... Params>
struct CallOperator<R (F::*)(Params...) const> : KnownSignature<R, Params...> {};
template <class F, class R, class... Params>
struct CallOperator<R (F::*)(Params...) noexcept> : KnownSignature<R, Params...> {};
template <class F, class R, class... Params>
struct CallOperator<R (F::*)(Params...) const noexcept> : KnownSignature<R, Params...> {};

template <class F>
    requires requires { &F::operator(); }
struct Signature<F> : CallOperator<decltype(&F::operator())> {};

// ---- how a parameter is kept in the message ----

template <class T>
struct StorageOf {
    using type = T;
};
template <class Char, class Traits>
struct StorageOf<std::basic_string_view<Char, Traits>> {
    using type = std::basic_string<Char, Traits>;
};
template <class T, std::size_t N>
struct StorageOf<std::span<const T, N>> {
    using type = std::vector<T>;
};
template <class T, std::size_t N>
struct StorageOf<std::span<T, N>> {
    using type = std::vector<T>;
};

/// The type that carries a parameter `P`: decayed, and owning where `P` is a view.
template <class P>
using storage_t = typename StorageOf<std::remove_cvref_t<P>>::type;

template <class T>
inline constexpr bool is_view = !std::is_same_v<storage_t<T>, std::remove_cvref_t<T>>;

// ---- refusals ----

template <class T>
inline constexpr bool is_std_function = false;
template <class S>
inline constexpr bool is_std_function<std::function<S>> = true;

template <class F>
inline constexpr bool is_partial = false;
template <class F, class... Bound>
inline constexpr bool is_partial<Partial<F, Bound...>> = true;

template <class F>
concept FunctionPointer = std::is_pointer_v<F> && std::is_function_v<std::remove_pointer_t<F>>;

// A lambda without captures, or an object without fields: it is made anew in the worker.
template <class F>
concept Stateless = std::is_class_v<F> && std::is_empty_v<F> && std::is_default_constructible_v<F>;

template <class F>
inline constexpr bool accepted_callable = !is_std_function<F> && !std::is_member_pointer_v<F> &&
                                          (FunctionPointer<F> || Stateless<F> || is_partial<F> || is_encodable_v<F>);

template <class F>
constexpr void assert_callable() {
    if constexpr (is_std_function<F>) {
        static_assert(
            always_false<F>,
            "multiproc: a std::function hides what it holds, so it cannot travel to another process; pass the "
            "function itself, a lambda without captures, multiproc::partial(f, x...), or a struct with fields "
            "and operator()");
    } else if constexpr (std::is_member_pointer_v<F>) {
        static_assert(
            always_false<F>,
            "multiproc: a pointer to a member cannot travel to another process; pass a lambda without captures "
            "that takes the object as its argument, e.g. [](Object object) { return object.work(); }");
    } else if constexpr (FunctionPointer<F> || Stateless<F> || is_partial<F>) {
        // Travels by its name alone; what a partial holds was checked when it was made.
    } else {
        static_assert(
            is_encodable_v<F>,
            "multiproc: this callable cannot travel to another process. A lambda with captures is not allowed: "
            "pass the values as arguments, use multiproc::partial(f, x...), or write a struct with fields and "
            "operator(). A class needs fields that the codec can carry (a plain aggregate, or a cereal "
            "serialize() member)");
    }
}

/// Throws std::invalid_argument, saying what to do, when `function` is null.
MULTIPROC_API void require_function(const void* function);

template <class P>
inline constexpr bool accepted_parameter =
    !(std::is_lvalue_reference_v<P> &&
      !std::is_const_v<std::remove_reference_t<P>>)&&!std::is_pointer_v<std::remove_cvref_t<P>> &&
    is_encodable_v<storage_t<P>>;

template <class P>
constexpr void assert_parameter() {
    using Plain = std::remove_cvref_t<P>;
    static_assert(!(std::is_lvalue_reference_v<P> && !std::is_const_v<std::remove_reference_t<P>>),
                  "multiproc: a parameter of type T& cannot work across processes, because the caller's object is not "
                  "there; take T or const T& and return what changed");
    static_assert(
        !std::is_pointer_v<Plain>,
        "multiproc: a raw pointer cannot travel to another process, because it names memory of this one; take "
        "the value itself, std::string for text, std::vector for an array, or std::unique_ptr<T>");
    if constexpr (!std::is_pointer_v<Plain>) assert_encodable<storage_t<P>>();
}

template <class R>
inline constexpr bool accepted_result =
    std::is_void_v<R> || (!std::is_reference_v<R> && !is_view<R> && !std::is_pointer_v<R> && is_encodable_v<R>);

template <class R>
constexpr void assert_result() {
    static_assert(!std::is_reference_v<R>,
                  "multiproc: a result that is a reference cannot travel back from another process; return the value");
    static_assert(
        !is_view<R>,
        "multiproc: a result that is a view (std::string_view, std::span) refers to memory of the worker; return "
        "std::string or std::vector");
    static_assert(
        !std::is_pointer_v<R>,
        "multiproc: a result that is a raw pointer refers to memory of the worker; return the value itself or "
        "std::unique_ptr<T>");
    if constexpr (!std::is_void_v<R> && !std::is_reference_v<R> && !is_view<R> && !std::is_pointer_v<R>)
        assert_encodable<R>();
}

// ---- a call: callable, parameters, result ----

template <class F, class... Args>
struct ParametersOf {
    using type = TypeList<std::decay_t<Args>...>;  // an overloaded or generic operator(): what the caller passes
};
template <class F, class... Args>
    requires(Signature<F>::known)
struct ParametersOf<F, Args...> {
    using type = typename Signature<F>::Parameters;
};

// Gives the callable its argument as the parameter asks for it: moved, by const reference, or as a view of the storage.
template <class P>
decltype(auto) pass(storage_t<P>& stored) {
    if constexpr (is_view<P>) {
        using View = std::remove_cvref_t<P>;
        if constexpr (requires { View::extent; }) {
            if (View::extent != std::dynamic_extent && View::extent != stored.size())
                throw CodecError("multiproc: a std::span of fixed size got another number of elements");
        }
        return View(stored);
    } else if constexpr (std::is_lvalue_reference_v<P>) {
        return std::as_const(stored);
    } else {
        return std::move(stored);
    }
}

template <class F, class Parameters>
struct Call;

/// How an `F` with these parameters is called in the worker.
template <class F, class... Params>
struct Call<F, TypeList<Params...>> {
    static constexpr std::size_t arity = sizeof...(Params);
    using Storage = std::tuple<storage_t<Params>...>;
    template <std::size_t I>
    using StorageAt = std::tuple_element_t<I, Storage>;

    static decltype(auto) invoke(F& f, Storage& arguments) {
        return std::apply([&f](auto&... stored) -> decltype(auto) { return f(pass<Params>(stored)...); }, arguments);
    }

    static constexpr bool accepts_parameters = (accepted_parameter<Params> && ...);
    static constexpr bool callable = requires(F& f, storage_t<Params>&... stored) { f(pass<Params>(stored)...); };

    // Whether a call leaves the callable as it was.
    static constexpr bool pure =
        FunctionPointer<F> || requires(const F& f, storage_t<Params>&... stored) { f(pass<Params>(stored)...); };

    static constexpr void check_parameters() { (assert_parameter<Params>(), ...); }
};

template <class F, class... Args>
using call_of = Call<std::decay_t<F>, typename ParametersOf<std::decay_t<F>, Args...>::type>;

template <class C, std::size_t given>
constexpr void assert_fit() {
    static_assert(C::arity == given, "multiproc: the number of arguments does not match the function's parameters");
    static_assert(
        C::arity != given || C::callable,
        "multiproc: the first argument must be something that can be called with the others: a function, a lambda "
        "without captures, an object with operator(), or multiproc::partial");
}

template <class C, class F>
using raw_result_t = decltype(C::invoke(std::declval<F&>(), std::declval<typename C::Storage&>()));

// What was refused counts as returning nothing, so that the refusal is the only message.
template <bool accepted, class C, class F>
struct RawResult {
    using type = void;
};
template <class C, class F>
struct RawResult<true, C, F> {
    using type = raw_result_t<C, F>;
};

/// What `f(args...)` gives in a task. Errors in the user's code are reported here, in words, and each once: whoever
/// uses this makes nothing of a task that is not `sound`.
template <class F, class... Args>
struct TaskTraits {
    using Function = std::decay_t<F>;
    using Called = call_of<F, Args...>;

    static constexpr bool check() {
        assert_callable<Function>();
        if constexpr (accepted_callable<Function>) {
            Called::check_parameters();
            if constexpr (Called::accepts_parameters) assert_fit<Called, sizeof...(Args)>();
        }
        return true;
    }
    static_assert(check());
    static constexpr bool accepted = accepted_callable<Function> && Called::accepts_parameters &&
                                     Called::arity == sizeof...(Args) && Called::callable;
    using Raw = typename RawResult<accepted, Called, Function>::type;
    static constexpr bool result_checked = (assert_result<Raw>(), true);
    static_assert(result_checked);

    static constexpr bool sound = accepted && accepted_result<Raw>;
    using Result = std::conditional_t<sound, std::remove_cv_t<Raw>, void>;
};

template <class F, class... Args>
using task_result_t = typename TaskTraits<F, Args...>::Result;

/// `argument` as the type that carries it. A std::span parameter takes whatever has contiguous elements of its type.
template <class Target, class Arg>
Target convert(Arg&& argument) {
    if constexpr (std::is_constructible_v<Target, Arg&&>) {
        return Target(std::forward<Arg>(argument));
    } else if constexpr (requires { Target(std::data(argument), std::data(argument) + std::size(argument)); }) {
        return Target(std::data(argument), std::data(argument) + std::size(argument));
    } else {
        static_assert(always_false<Arg>, "multiproc: this argument does not convert to the function's parameter type");
    }
}

}  // namespace multiproc::detail
