// Which types can travel, and what to say about those that cannot. Internal.
#pragma once

#include <memory>
#include <type_traits>

#include <multiproc/detail/codec_bits.hpp>
#include <multiproc/detail/codec_cereal.hpp>
#include <multiproc/detail/codec_fields.hpp>

namespace multiproc::detail::codec {

enum class Problem : unsigned char {
    none,
    reference,
    raw_pointer,
    function_pointer,
    member_pointer,
    no_value,
    array,
    view,
    std_function,
    function_object,
    unsized_pointee,
    abstract_pointee,
    custom_deleter,
    weak_pointer,
    stateful_comparison,
    stateful_allocator,
    union_type,
    base_class,
    too_many_fields,
    aggregate,
    inherited_serialize,
    no_load,
    no_default_constructor,
    class_type,
};

/// How values of type `T` are written and read. A specialisation has
///   problem          what keeps this type from travelling, apart from its parts
///   Parts            the types it is made of
///   min_size()       the fewest bytes a value takes, at least 1, so that a length can be checked before it is believed
///   put(Encoder&, const T&), get(Decoder&), and get_into(Decoder&, T&) where a value is filled in place
template <class T>
struct Coder;

/// A class without anything in it (a captureless lambda, std::less, a tag): it is made anew.
template <class T>
concept Stateless =
    std::is_class_v<T> && std::is_empty_v<T> && std::is_default_constructible_v<T> && std::is_trivially_copyable_v<T>;

template <Problem P, class T>
struct Verdict {
    static constexpr Problem problem = P;
    using Offender = T;
};

template <class... Vs>
struct FirstBad {
    using type = Verdict<Problem::none, void>;
};
template <class V, class... Vs>
struct FirstBad<V, Vs...> : std::conditional_t<V::problem == Problem::none, FirstBad<Vs...>, std::type_identity<V>> {};

template <class T, class... Seen>
constexpr auto check();

template <class... Seen, class... Parts>
constexpr auto check_parts(Types<Parts...>, Types<Seen...>) {
    return typename FirstBad<decltype(check<Parts, Seen...>())...>::type{};
}

/// The verdict on `T` as a part of the types in `Seen`, which are being judged already: a type may hold itself.
template <class T, class... Seen>
constexpr auto check() {
    using U = std::remove_cv_t<T>;
    if constexpr (std::is_reference_v<U>) {
        return Verdict<Problem::reference, U>{};
    } else if constexpr (std::is_void_v<U> || std::is_function_v<U> || std::is_null_pointer_v<U>) {
        return Verdict<Problem::no_value, U>{};
    } else if constexpr (std::is_pointer_v<U>) {
        constexpr bool function = std::is_function_v<std::remove_pointer_t<U>>;
        return Verdict < function ? Problem::function_pointer : Problem::raw_pointer, U > {};
    } else if constexpr (std::is_member_pointer_v<U>) {
        return Verdict<Problem::member_pointer, U>{};
    } else if constexpr (std::is_array_v<U>) {
        return check<std::remove_all_extents_t<U>, Seen...>();
    } else if constexpr (bits<U> || std::is_scalar_v<U> || (std::is_same_v<U, Seen> || ...)) {
        return Verdict<Problem::none, void>{};
    } else if constexpr (std::is_union_v<U>) {
        return Verdict<Problem::union_type, U>{};
    } else if constexpr (Coder<U>::problem != Problem::none) {
        return Verdict<Coder<U>::problem, U>{};
    } else {
        return check_parts(typename Coder<U>::Parts{}, Types<Seen..., U>{});
    }
}

// At the top there are no arrays: nothing could return one.
template <class T>
constexpr auto check_whole() {
    if constexpr (std::is_array_v<T>) {
        return Verdict<Problem::array, T>{};
    } else {
        return check<T>();
    }
}

template <class T>
using verdict_t = decltype(check_whole<T>());

/// Its failure is what a user reads: the text says what is wrong, and `Offender` is the type, maybe deep inside
/// `Whole`, that cannot travel.
template <Problem P, class Offender, class Whole>
constexpr bool refuse() {
    static_assert(P != Problem::reference,
                  "multiproc: a reference cannot travel to another process, because what it refers to is not there; "
                  "pass the value");
    static_assert(P != Problem::raw_pointer,
                  "multiproc: a raw pointer cannot travel to another process; pass the value, std::unique_ptr<T> or "
                  "std::shared_ptr<T>, std::string for text, std::vector for an array");
    static_assert(P != Problem::function_pointer,
                  "multiproc: a function pointer inside a value cannot travel to another process; pass the function "
                  "itself as the task, or an enum that says which function to call");
    static_assert(P != Problem::member_pointer,
                  "multiproc: a pointer to a member cannot travel to another process; pass a lambda without "
                  "captures, or an enum that says which member is meant");
    static_assert(P != Problem::no_value,
                  "multiproc: void, functions and nullptr_t are not values that can travel to another process; pass a "
                  "value, or std::optional<T> for one that may be missing");
    static_assert(P != Problem::array,
                  "multiproc: a C array cannot travel by itself; pass std::array, std::vector, or std::string for "
                  "text");
    static_assert(P != Problem::view,
                  "multiproc: std::string_view, std::span, std::initializer_list and std::reference_wrapper refer to "
                  "memory of one process; pass std::string, std::vector or the value");
    static_assert(P != Problem::std_function,
                  "multiproc: std::function hides what it holds, so it cannot travel to another process; pass the "
                  "function itself, a lambda without captures, multiproc::partial, or a struct with fields and "
                  "operator()");
    static_assert(P != Problem::function_object,
                  "multiproc: a lambda with captures cannot travel to another process, because its captures cannot be "
                  "seen; pass the values as arguments, use multiproc::partial, or write a struct with fields and "
                  "operator()");
    static_assert(P != Problem::unsized_pointee,
                  "multiproc: a smart pointer to void or to an array does not say how much it points to; pass "
                  "std::vector, or a smart pointer to one object");
    static_assert(P != Problem::abstract_pointee,
                  "multiproc: a smart pointer to an abstract class cannot travel, because the codec does not know "
                  "what to make at the other end; pass std::variant of the concrete classes");
    static_assert(P != Problem::custom_deleter,
                  "multiproc: a std::unique_ptr with its own deleter cannot travel, because the object would be freed "
                  "differently at the other end; pass the value or a std::unique_ptr<T> with the default deleter");
    static_assert(P != Problem::weak_pointer,
                  "multiproc: a std::weak_ptr owns nothing, so nothing would keep the object alive in the other "
                  "process; pass std::shared_ptr<T>");
    static_assert(P != Problem::stateful_comparison,
                  "multiproc: a container whose comparison, hash or equality has a state (a function pointer, a "
                  "member) cannot be made again in another process; use a class without members, such as std::less");
    static_assert(P != Problem::stateful_allocator,
                  "multiproc: a container whose allocator cannot be default constructed cannot be made again in "
                  "another process; pass a container with the standard allocator");
    static_assert(P != Problem::union_type,
                  "multiproc: a union does not say which of its members is alive; pass std::variant, or specialise "
                  "multiproc::bitwise<T> if all its bytes can be copied");
    static_assert(P != Problem::base_class,
                  "multiproc: the codec cannot look into an aggregate with a base class; give it a cereal serialize() "
                  "member that names base and members, specialise multiproc::bitwise<T> if its bytes can be copied, or "
                  "make the base a member");
    static_assert(P != Problem::too_many_fields,
                  "multiproc: an aggregate may have at most 64 members; group them in nested structs, or give it a "
                  "cereal serialize() member");
    static_assert(P != Problem::aggregate,
                  "multiproc: the codec cannot make this aggregate, because one of its members has no default value "
                  "(a reference, or a class without default constructor); give the member a default, or give the "
                  "aggregate a cereal serialize() and a default constructor");
    static_assert(P != Problem::inherited_serialize,
                  "multiproc: this class inherits the serialize() of its base, which does not know the members that it "
                  "adds; give it its own serialize(), which begins with cereal::base_class<Base>(this)");
    static_assert(P != Problem::no_load,
                  "multiproc: this class can be saved but not loaded (or the other way round); it needs both halves, "
                  "save() const and load(), or one serialize()");
    static_assert(P != Problem::no_default_constructor,
                  "multiproc: a class with a cereal serialize() needs a public default constructor, so that there is "
                  "an object to fill in at the other end");
    static_assert(P != Problem::class_type,
                  "multiproc: the codec does not know how to take this class apart; make it a plain aggregate (no "
                  "constructors, no private members), add a cereal serialize() member, or specialise "
                  "multiproc::bitwise<T> if its bytes can be copied");
    return true;
}

}  // namespace multiproc::detail::codec
