// How any one value is written and read: as its bytes, or by its Coder. Internal.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include <multiproc/detail/codec_check.hpp>
#include <multiproc/detail/codec_state.hpp>

namespace multiproc::detail::codec {

/// The fewest bytes that a `T` takes in a message; at least 1.
template <class T>
constexpr std::size_t min_size() {
    if constexpr (std::is_const_v<T>) {
        return min_size<std::remove_const_t<T>>();
    } else if constexpr (bits<T>) {
        return sizeof(T);
    } else if constexpr (std::is_array_v<T>) {
        return std::extent_v<T> * min_size<std::remove_extent_t<T>>();
    } else {
        return Coder<T>::min_size();
    }
}

template <class T>
void put(Encoder& encoder, const T& value) {
    if constexpr (bits<T>) {
        encoder.out().write(std::addressof(value), sizeof value);
    } else if constexpr (std::is_array_v<T>) {
        for (const auto& element : value) put(encoder, element);
    } else {
        Coder<T>::put(encoder, value);
    }
}

template <class T>
std::remove_cv_t<T> get(Decoder& decoder) {
    using U = std::remove_cv_t<T>;
    if constexpr (bits<U>) {
        return from_bits<U>(decoder.in().take(sizeof(U)));
    } else {
        return Coder<U>::get(decoder);
    }
}

template <class T>
concept FilledInPlace = requires(Decoder& decoder, T& target) { Coder<T>::get_into(decoder, target); };

/// Reads a value into an object that exists already.
template <class T>
void get_into(Decoder& decoder, T& target) {
    if constexpr (std::is_array_v<T> && bits<T>) {
        std::memcpy(static_cast<void*>(&target), decoder.in().take(sizeof(T)), sizeof(T));
        check_bools<T>(reinterpret_cast<const std::byte*>(&target), 1);
    } else if constexpr (std::is_array_v<T>) {
        for (auto& element : target) get_into(decoder, element);
    } else if constexpr (!bits<T> && FilledInPlace<T>) {
        Coder<T>::get_into(decoder, target);
    } else {
        target = get<T>(decoder);
    }
}

/// A new object on the heap, for smart pointers; `T` need not be movable.
template <class T>
std::unique_ptr<T> get_new(Decoder& decoder) {
    if constexpr (!bits<T> && FilledInPlace<T>) {
        auto object = std::make_unique<T>();
        Coder<T>::get_into(decoder, *object);
        return object;
    } else {
        return std::unique_ptr<T>(new T(get<T>(decoder)));
    }
}

// ---- lengths ----

inline void put_length(Encoder& encoder, std::size_t length) { encoder.number(std::uint64_t{length}); }

/// A number of elements, of at least `Size` bytes each, that can be true: so many bytes are there.
template <std::size_t Size>
std::size_t get_length(Decoder& decoder) {
    static_assert(Size > 0, "elements without bytes could be promised in any number");
    const auto length = decoder.number<std::uint64_t>();
    const std::size_t left = decoder.in().remaining();
    if (length > left / Size) throw_bad_length(length, Size, left);
    return static_cast<std::size_t>(length);
}

// ---- the long double of x86 ----

template <class T>
    requires padded_float<T>
struct Coder<T> {
    static constexpr Problem problem = Problem::none;
    using Parts = Types<>;
    static constexpr std::size_t used = 10;

    static constexpr std::size_t min_size() { return used; }
    static void put(Encoder& encoder, T value) { encoder.out().write(&value, used); }
    static T get(Decoder& decoder) {
        T value = 0;
        decoder.in().read(&value, used);
        return value;
    }
};

// ---- classes: with cereal functions, plain aggregates, stateless ones ----

enum class ClassKind : unsigned char { cereal, aggregate, stateless, unknown };

template <class T>
constexpr ClassKind class_kind() {
    if constexpr (cereal_form<T> != CerealForm::none) {
        return ClassKind::cereal;
    } else if constexpr (PlainAggregate<T> && !std::is_empty_v<T>) {
        return ClassKind::aggregate;
    } else if constexpr (Stateless<T>) {
        return ClassKind::stateless;
    } else {
        return ClassKind::unknown;
    }
}

template <class T>
constexpr Problem class_problem() {
    if constexpr (class_kind<T>() == ClassKind::cereal) {
        if constexpr (inherits_serialize<T>()) {
            return Problem::inherited_serialize;
        } else if constexpr (!cereal_loads<T>()) {
            return Problem::no_load;
        } else if constexpr (!std::is_default_constructible_v<T>) {
            return Problem::no_default_constructor;
        } else {
            return Problem::none;
        }
    } else if constexpr (class_kind<T>() != ClassKind::unknown) {
        return Problem::none;
    } else if constexpr (AggregateClass<T>) {
        if constexpr (HasBase<T>) {
            return Problem::base_class;
        } else if constexpr (!BraceInitializable<T>) {
            return Problem::aggregate;
        } else if constexpr (field_count<T> > max_fields) {
            return Problem::too_many_fields;
        } else {
            return Problem::aggregate;
        }
    } else if constexpr (requires { &T::operator(); }) {
        return Problem::function_object;
    } else {
        return Problem::class_type;
    }
}

template <class T>
constexpr auto class_parts() {
    if constexpr (class_kind<T>() == ClassKind::aggregate) {
        return fields_t<T>{};
    } else {
        return Types<>{};  // what a serialize() passes on is checked where it passes it on
    }
}

template <class... Fs>
constexpr std::size_t sum_of_min_sizes(Types<Fs...>) {
    return (min_size<Fs>() + ... + 0);
}

template <class T>
void cereal_put(Encoder& encoder, const T& value);
template <class T>
void cereal_get(Decoder& decoder, T& target);

// Each member is made from a value of its own type, so the only conversion here is into a bit-field, which takes what
// was read from it.
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#endif
// Braces, because they read the members in order.
template <class T, class... Fs>
T make_aggregate(Decoder& decoder, Types<Fs...>) {
    return T{codec::get<Fs>(decoder)...};
}
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

template <class T>
struct Coder {
    static constexpr ClassKind kind = class_kind<T>();
    static constexpr Problem problem = class_problem<T>();
    using Parts = decltype(class_parts<T>());

    static constexpr std::size_t min_size() {
        if constexpr (kind == ClassKind::aggregate) {
            return sum_of_min_sizes(Parts{});
        } else {
            return 1;
        }
    }

    static void put(Encoder& encoder, const T& value) {
        if constexpr (kind == ClassKind::aggregate) {
            const auto put_all = [&encoder](const auto&... fields) { (codec::put(encoder, fields), ...); };
            Tie<field_count<T>>::apply(value, put_all);
        } else {
            // One byte, so that a length can never promise more elements than the message has bytes.
            encoder.number(std::uint8_t{0});
            if constexpr (kind == ClassKind::cereal) cereal_put(encoder, value);
        }
    }

    static void get_into(Decoder& decoder, T& target)
        requires(kind == ClassKind::cereal || (kind == ClassKind::aggregate && has_array<Parts>))
    {
        if constexpr (kind == ClassKind::cereal) {
            skip_mark(decoder);
            cereal_get(decoder, target);
        } else {
            const auto get_all = [&decoder](auto&... fields) { (codec::get_into(decoder, fields), ...); };
            Tie<field_count<T>>::apply(target, get_all);
        }
    }

    static T get(Decoder& decoder) {
        if constexpr (FilledInPlace<T>) {
            T value = T();
            get_into(decoder, value);
            return value;
        } else if constexpr (kind == ClassKind::aggregate) {
            return make_aggregate<T>(decoder, Parts{});
        } else {
            skip_mark(decoder);
            return T();
        }
    }

private:
    static void skip_mark(Decoder& decoder) {
        const auto mark = decoder.number<std::uint8_t>();
        if (mark != 0) throw_bad_flag("the mark of an object", mark);
    }
};

}  // namespace multiproc::detail::codec
