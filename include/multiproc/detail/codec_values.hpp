// Pairs, tuples, optionals, variants, smart pointers and the other values of the standard library. Internal.
#pragma once

#include <bitset>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>
#include <variant>

#include <multiproc/detail/codec_core.hpp>
#include <multiproc/detail/codec_ranges.hpp>

namespace multiproc::detail::codec {

// ---- std::array, std::complex, std::chrono (those that do not travel as bytes), std::pair, std::tuple ----

template <class T, std::size_t N>
struct Coder<std::array<T, N>> {
    static constexpr Problem problem = Problem::none;
    using Parts = Types<T>;
    static constexpr std::size_t min_size() { return N == 0 ? 1 : N * codec::min_size<T>(); }

    static void put(Encoder& encoder, const std::array<T, N>& values) {
        if constexpr (N == 0) encoder.number(std::uint8_t{0});
        for (const T& value : values) codec::put(encoder, value);
    }

    static std::array<T, N> get(Decoder& decoder) {
        if constexpr (N == 0) {
            decoder.in().take(1);
            return {};
        } else if constexpr (std::is_default_constructible_v<T> && (FilledInPlace<T> || std::is_move_assignable_v<T>)) {
            std::array<T, N> result{};
            for (T& value : result) codec::get_into(decoder, value);
            return result;
        } else {
            return make(decoder, std::make_index_sequence<N>{});
        }
    }

private:
    template <std::size_t... I>
    static std::array<T, N> make(Decoder& decoder, std::index_sequence<I...>) {
        return {{(static_cast<void>(I), codec::get<T>(decoder))...}};
    }
};

template <class T>
struct Coder<std::complex<T>> {
    static constexpr Problem problem = Problem::none;
    using Parts = Types<T>;
    static constexpr std::size_t min_size() { return 2 * codec::min_size<T>(); }
    static void put(Encoder& encoder, const std::complex<T>& value) {
        codec::put(encoder, value.real());
        codec::put(encoder, value.imag());
    }
    static std::complex<T> get(Decoder& decoder) {
        return std::complex<T>{codec::get<T>(decoder), codec::get<T>(decoder)};
    }
};

template <class Rep, class Period>
struct Coder<std::chrono::duration<Rep, Period>> {
    static constexpr Problem problem = Problem::none;
    using Parts = Types<Rep>;
    static constexpr std::size_t min_size() { return codec::min_size<Rep>(); }
    static void put(Encoder& encoder, const std::chrono::duration<Rep, Period>& value) {
        codec::put(encoder, value.count());
    }
    static std::chrono::duration<Rep, Period> get(Decoder& decoder) {
        return std::chrono::duration<Rep, Period>(codec::get<Rep>(decoder));
    }
};

template <class Clock, class Duration>
struct Coder<std::chrono::time_point<Clock, Duration>> {
    static constexpr Problem problem = Problem::none;
    using Parts = Types<Duration>;
    static constexpr std::size_t min_size() { return codec::min_size<Duration>(); }
    static void put(Encoder& encoder, const std::chrono::time_point<Clock, Duration>& value) {
        codec::put(encoder, value.time_since_epoch());
    }
    static std::chrono::time_point<Clock, Duration> get(Decoder& decoder) {
        return std::chrono::time_point<Clock, Duration>(codec::get<Duration>(decoder));
    }
};

template <class A, class B>
struct Coder<std::pair<A, B>> {
    static constexpr Problem problem = Problem::none;
    using Parts = Types<A, B>;
    static constexpr std::size_t min_size() { return codec::min_size<A>() + codec::min_size<B>(); }
    static void put(Encoder& encoder, const std::pair<A, B>& value) {
        codec::put(encoder, value.first);
        codec::put(encoder, value.second);
    }
    static std::pair<A, B> get(Decoder& decoder) {
        return std::pair<A, B>{codec::get<A>(decoder), codec::get<B>(decoder)};
    }
};

template <class... Ts>
struct Coder<std::tuple<Ts...>> {
    static constexpr Problem problem = Problem::none;
    using Parts = Types<Ts...>;
    static constexpr std::size_t min_size() { return (codec::min_size<Ts>() + ...); }
    static void put(Encoder& encoder, const std::tuple<Ts...>& value) {
        std::apply([&encoder](const Ts&... elements) { (codec::put(encoder, elements), ...); }, value);
    }
    static std::tuple<Ts...> get(Decoder& decoder) { return std::tuple<Ts...>{codec::get<Ts>(decoder)...}; }
};

template <>
struct Coder<std::tuple<>> {
    static constexpr Problem problem = Problem::none;
    using Parts = Types<>;
    static constexpr std::size_t min_size() { return 1; }
    static void put(Encoder& encoder, const std::tuple<>&) { encoder.number(std::uint8_t{0}); }
    static std::tuple<> get(Decoder& decoder) {
        decoder.in().take(1);
        return {};
    }
};

// ---- std::optional, std::variant ----

inline bool get_flag(Decoder& decoder, const char* what) {
    const auto flag = decoder.number<std::uint8_t>();
    if (flag > 1) throw_bad_flag(what, flag);
    return flag != 0;
}

template <class T>
struct Coder<std::optional<T>> {
    static constexpr Problem problem = Problem::none;
    using Parts = Types<T>;
    static constexpr std::size_t min_size() { return 1; }
    static void put(Encoder& encoder, const std::optional<T>& value) {
        encoder.number(static_cast<std::uint8_t>(value.has_value()));
        if (value) codec::put(encoder, *value);
    }
    static std::optional<T> get(Decoder& decoder) {
        if (!get_flag(decoder, "the flag of an optional")) return std::nullopt;
        return std::optional<T>(std::in_place, codec::get<T>(decoder));
    }
};

template <class... Ts>
struct Coder<std::variant<Ts...>> {
    using Variant = std::variant<Ts...>;
    using Index = std::conditional_t<(sizeof...(Ts) < 256), std::uint8_t, std::uint32_t>;
    static constexpr Problem problem = Problem::none;
    using Parts = Types<Ts...>;
    static constexpr std::size_t min_size() { return sizeof(Index) + std::min({codec::min_size<Ts>()...}); }

    static void put(Encoder& encoder, const Variant& value) {
        if (value.valueless_by_exception()) throw_valueless();
        encoder.number(static_cast<Index>(value.index()));
        std::visit([&encoder](const auto& alternative) { codec::put(encoder, alternative); }, value);
    }
    static Variant get(Decoder& decoder) {
        const auto index = decoder.number<Index>();
        if (index >= sizeof...(Ts)) throw_bad_index(index, sizeof...(Ts));
        return getters(std::index_sequence_for<Ts...>{})[index](decoder);
    }

private:
    template <std::size_t I>
    static Variant get_alternative(Decoder& decoder) {
        return Variant(std::in_place_index<I>, codec::get<std::variant_alternative_t<I, Variant>>(decoder));
    }
    template <std::size_t... I>
    static auto getters(std::index_sequence<I...>) -> Variant (*const (&)[sizeof...(I)])(Decoder&) {
        static constexpr Variant (*table[])(Decoder&) = {&get_alternative<I>...};
        return table;
    }
};

// ---- smart pointers ----

template <class T>
constexpr Problem pointee_problem() {
    if constexpr (std::is_void_v<T> || std::is_array_v<T>) {
        return Problem::unsized_pointee;
    } else if constexpr (std::is_abstract_v<T>) {
        return Problem::abstract_pointee;
    } else {
        return Problem::none;
    }
}

/// A pointer to a base class would lose what the object has besides; that shows only at run time.
template <class T>
void check_whole_object(const T& object) {
    if constexpr (std::is_polymorphic_v<T> && !std::is_final_v<T>) {
        if (typeid(object) != typeid(T)) throw_sliced(typeid(T), typeid(object));
    }
}

template <class T, class Deleter>
struct Coder<std::unique_ptr<T, Deleter>> {
    using Object = std::remove_cv_t<T>;
    static constexpr Problem problem =
        first_problem(pointee_problem<T>(),
                      std::is_same_v<Deleter, std::default_delete<T>> ? Problem::none : Problem::custom_deleter);
    using Parts = Types<Object>;
    static constexpr std::size_t min_size() { return 1; }

    static void put(Encoder& encoder, const std::unique_ptr<T, Deleter>& pointer) {
        Nesting level(encoder.depth());
        encoder.number(static_cast<std::uint8_t>(pointer != nullptr));
        if (!pointer) return;
        check_whole_object<Object>(*pointer);
        codec::put<Object>(encoder, *pointer);
    }
    static std::unique_ptr<T, Deleter> get(Decoder& decoder) {
        Nesting level(decoder.depth());
        if (!get_flag(decoder, "the flag of a unique_ptr")) return nullptr;
        return get_new<Object>(decoder);
    }
};

template <class T>
struct Coder<std::shared_ptr<T>> {
    using Object = std::remove_cv_t<T>;
    static constexpr Problem problem = pointee_problem<T>();
    using Parts = Types<Object>;
    static constexpr std::size_t min_size() { return sizeof(std::uint32_t); }

    static void put(Encoder& encoder, const std::shared_ptr<T>& pointer) {
        Nesting level(encoder.depth());
        const std::uint32_t number = encoder.begin_shared(pointer, typeid(Object));
        if (number == 0) return;
        check_whole_object<Object>(*pointer);
        codec::put<Object>(encoder, *pointer);
        encoder.end_shared(number);
    }
    static std::shared_ptr<T> get(Decoder& decoder) {
        Nesting level(decoder.depth());
        Decoder::SharedObject known = decoder.begin_shared(typeid(Object));
        if (known.number == 0) return std::static_pointer_cast<Object>(std::move(known.object));
        std::shared_ptr<Object> object = get_new<Object>(decoder);
        decoder.end_shared(known.number, object);
        return object;
    }
};

// ---- std::filesystem::path, std::bitset, std::error_code ----

/// In the system's own form: only processes of one system read it, and no byte is lost.
template <>
struct Coder<std::filesystem::path> {
    using Text = std::filesystem::path::string_type;
    static constexpr Problem problem = Problem::none;
    using Parts = Types<>;
    static constexpr std::size_t min_size() { return codec::min_size<Text>(); }
    static void put(Encoder& encoder, const std::filesystem::path& path) { codec::put(encoder, path.native()); }
    static std::filesystem::path get(Decoder& decoder) {
        return std::filesystem::path(codec::get<Text>(decoder), std::filesystem::path::native_format);
    }
};

template <std::size_t N>
struct Coder<std::bitset<N>> {
    static constexpr Problem problem = Problem::none;
    using Parts = Types<>;
    static constexpr std::size_t min_size() { return N == 0 ? 1 : (N + 7) / 8; }

    static void put(Encoder& encoder, const std::bitset<N>& values) {
        std::byte* place = encoder.out().append(min_size());
        std::memset(place, 0, min_size());
        for (std::size_t i = 0; i != N; ++i) {
            if (values[i]) place[i / 8] |= static_cast<std::byte>(1U << i % 8);
        }
    }
    static std::bitset<N> get(Decoder& decoder) {
        const std::byte* place = decoder.in().take(min_size());
        std::bitset<N> values;
        for (std::size_t i = 0; i != N; ++i) values[i] = (std::to_integer<unsigned>(place[i / 8]) >> i % 8 & 1U) != 0;
        return values;
    }
};

MULTIPROC_API void put_error_code(Encoder& encoder, const std::error_code& code);
MULTIPROC_API std::error_code get_error_code(Decoder& decoder);

template <>
struct Coder<std::error_code> {
    static constexpr Problem problem = Problem::none;
    using Parts = Types<>;
    static constexpr std::size_t min_size() { return sizeof(int) + sizeof(std::uint64_t); }
    static void put(Encoder& encoder, const std::error_code& code) { put_error_code(encoder, code); }
    static std::error_code get(Decoder& decoder) { return get_error_code(decoder); }
};

// ---- what is refused by name ----

template <Problem P>
struct Refused {
    static constexpr Problem problem = P;
    using Parts = Types<>;
};

template <class Char, class Traits>
struct Coder<std::basic_string_view<Char, Traits>> : Refused<Problem::view> {};
template <class T, std::size_t N>
struct Coder<std::span<T, N>> : Refused<Problem::view> {};
template <class T>
struct Coder<std::initializer_list<T>> : Refused<Problem::view> {};
template <class T>
struct Coder<std::reference_wrapper<T>> : Refused<Problem::view> {};
template <class Signature>
struct Coder<std::function<Signature>> : Refused<Problem::std_function> {};
template <class T>
struct Coder<std::weak_ptr<T>> : Refused<Problem::weak_pointer> {};

}  // namespace multiproc::detail::codec
