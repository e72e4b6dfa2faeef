/// @file
/// Errors of the program's own types that keep their type on the way from a worker to the caller.
///
/// ```cpp
/// struct ParseError : std::runtime_error {
///     using std::runtime_error::runtime_error;
/// };
/// inline const bool parse_error_travels = multiproc::register_error<ParseError>();   // in parent and worker alike
///
/// try {
///     pool.apply(parse, text);
/// } catch (const ParseError& error) { ... }
/// ```
///
/// Without registration an error arrives as the nearest class above it that the library knows: the exceptions of the
/// standard library, the library's own, and those that are registered. `RemoteError::type_name` tells its real type.
/// What is no std::exception (`throw 42`) arrives as std::runtime_error.
///
/// An error that carries another one (std::throw_with_nested) arrives with a text that has a line "caused by: ..." for
/// each of them; the inner errors are no objects any more. An error that travels on, from a pool inside a worker, keeps
/// the text, the type name, the pid and the task of the process where it was thrown first.
#pragma once

#include <exception>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include <multiproc/codec.hpp>
#include <multiproc/errors.hpp>

namespace multiproc {

namespace detail {

/// One type of error that travels as itself.
struct ErrorKind {
    std::string name;
    const std::type_info* type;
    bool (*matches)(const std::exception& error);
    void (*encode)(OutputBuffer& out, const std::exception& error);
    std::exception_ptr (*decode)(InputBuffer& in, RemoteError::Origin origin);
    void (*throw_null)();                   ///< throws a null pointer to this type
    bool (*catches)(void (*throw_null)());  ///< whether this type is the one thrown, or a base of it
};

/// Throws std::invalid_argument if another type has that name.
MULTIPROC_API void add_error_kind(ErrorKind kind);

template <class E>
struct ErrorKindOf {
    static bool matches(const std::exception& error) { return dynamic_cast<const E*>(&error) != nullptr; }

    [[noreturn]] static void throw_null() { throw static_cast<const E*>(nullptr); }

    static bool catches(void (*thrower)()) {
        try {
            thrower();
        } catch (const E*) { return true; } catch (...) {
        }
        return false;
    }

    /// `make` gives the E that was encoded.
    template <class Make>
    static std::exception_ptr remote(RemoteError::Origin origin, Make make) {
        return std::make_exception_ptr(Remote<E>(make(), std::move(origin)));
    }
};

template <class E>
void encode_error(OutputBuffer& out, const std::exception& error) {
    if constexpr (is_encodable_v<E>) encode(out, dynamic_cast<const E&>(error));
}

template <class E>
std::exception_ptr decode_error(InputBuffer& in, RemoteError::Origin origin) {
    const std::string text = origin.text;
    return ErrorKindOf<E>::remote(std::move(origin), [&]() -> E {
        if constexpr (is_encodable_v<E>) {
            return decode<E>(in);
        } else if constexpr (std::is_constructible_v<E, const std::string&>) {
            return E(text);
        } else {
            return E(text.c_str());
        }
    });
}

}  // namespace detail

/// Lets errors of type `E` travel as `E`, with their fields if `E` has a cereal serialize(), else with their text, from
/// which `E` must be constructible. What is caught is a `Remote<E>`.
///
/// Must have run in the parent and in the worker: before `freeze_support()`, or by a static initialiser as above.
/// `name` tells the types apart in messages. Returns true; once more for the same type is fine. Thread-safe. Throws
/// std::invalid_argument if another type is registered under `name`.
template <class E>
bool register_error(std::string name = typeid(E).name()) {
    constexpr bool from_text =
        std::is_constructible_v<E, const std::string&> || std::is_constructible_v<E, const char*>;
    static_assert(std::is_same_v<E, std::remove_cv_t<E>> && std::is_base_of_v<std::exception, E>,
                  "multiproc: an error that travels must be a class derived from std::exception, which everything that "
                  "catches it relies on");
    static_assert(!std::is_final_v<E>,
                  "multiproc: a final class cannot travel as an error, because what arrives, Remote<E>, derives from "
                  "it; remove the final");
    static_assert(std::is_copy_constructible_v<E>,
                  "multiproc: an error that travels must be copyable, as everything that is thrown; move what cannot "
                  "be copied into a std::shared_ptr");
    static_assert(!std::is_abstract_v<E>,
                  "multiproc: an abstract class cannot be thrown; register the concrete classes");
    static_assert(!std::is_base_of_v<RemoteError, E>, "multiproc: register E itself, not Remote<E>");
    static_assert(is_encodable_v<E> || from_text,
                  "multiproc: an error that travels needs a constructor from std::string or const char*, or a cereal "
                  "serialize() and a default constructor");
    if constexpr (std::is_base_of_v<std::exception, E> && !std::is_final_v<E> && std::is_copy_constructible_v<E> &&
                  (is_encodable_v<E> || from_text)) {
        using Kind = detail::ErrorKindOf<E>;
        detail::add_error_kind({std::move(name), &typeid(E), &Kind::matches, &detail::encode_error<E>,
                                &detail::decode_error<E>, &Kind::throw_null, &Kind::catches});
    }
    return true;
}

}  // namespace multiproc
