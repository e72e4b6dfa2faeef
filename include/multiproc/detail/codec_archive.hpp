// The archives at work: from the codec into a type's cereal functions and back. Internal.
#pragma once

#include <multiproc/detail/codec_core.hpp>

namespace multiproc {
template <class T>
constexpr void assert_encodable();
}

namespace multiproc::detail::codec {

template <class T>
void cereal_put(Encoder& encoder, const T& value) {
    constexpr CerealForm form = cereal_form<T>;
    Nesting level(encoder.depth());
    OutputArchive archive(encoder);
    // cereal's serialize() is not const, because the same function loads; with a saving archive it only reads.
    [[maybe_unused]] T& object = const_cast<T&>(value);
    if constexpr (form == CerealForm::member) {
        cereal::access::member_serialize(archive, object);
    } else if constexpr (form == CerealForm::member_versioned) {
        cereal::access::member_serialize(archive, object, class_version<T>());
    } else if constexpr (form == CerealForm::member_split) {
        cereal::access::member_save(archive, value);
    } else if constexpr (form == CerealForm::member_split_versioned) {
        cereal::access::member_save(archive, value, class_version<T>());
    } else if constexpr (form == CerealForm::member_minimal) {
        archive(cereal::access::member_save_minimal(std::as_const(archive), value));
    } else if constexpr (form == CerealForm::free) {
        CEREAL_SERIALIZE_FUNCTION_NAME(archive, object);
    } else if constexpr (form == CerealForm::free_versioned) {
        CEREAL_SERIALIZE_FUNCTION_NAME(archive, object, class_version<T>());
    } else if constexpr (form == CerealForm::free_split) {
        CEREAL_SAVE_FUNCTION_NAME(archive, value);
    } else if constexpr (form == CerealForm::free_split_versioned) {
        CEREAL_SAVE_FUNCTION_NAME(archive, value, class_version<T>());
    } else {
        archive(CEREAL_SAVE_MINIMAL_FUNCTION_NAME(std::as_const(archive), value));
    }
}

template <class T>
void cereal_get(Decoder& decoder, T& target) {
    constexpr CerealForm form = cereal_form<T>;
    Nesting level(decoder.depth());
    InputArchive archive(decoder);
    if constexpr (form == CerealForm::member) {
        cereal::access::member_serialize(archive, target);
    } else if constexpr (form == CerealForm::member_versioned) {
        cereal::access::member_serialize(archive, target, class_version<T>());
    } else if constexpr (form == CerealForm::member_split) {
        cereal::access::member_load(archive, target);
    } else if constexpr (form == CerealForm::member_split_versioned) {
        cereal::access::member_load(archive, target, class_version<T>());
    } else if constexpr (form == CerealForm::member_minimal) {
        using Saved = decltype(cereal::access::member_save_minimal(std::declval<const OutputArchive&>(), target));
        std::remove_cvref_t<Saved> saved = codec::get<std::remove_cvref_t<Saved>>(decoder);
        cereal::access::member_load_minimal(std::as_const(archive), target, saved);
    } else if constexpr (form == CerealForm::free) {
        CEREAL_SERIALIZE_FUNCTION_NAME(archive, target);
    } else if constexpr (form == CerealForm::free_versioned) {
        CEREAL_SERIALIZE_FUNCTION_NAME(archive, target, class_version<T>());
    } else if constexpr (form == CerealForm::free_split) {
        CEREAL_LOAD_FUNCTION_NAME(archive, target);
    } else if constexpr (form == CerealForm::free_split_versioned) {
        CEREAL_LOAD_FUNCTION_NAME(archive, target, class_version<T>());
    } else {
        using Saved = decltype(CEREAL_SAVE_MINIMAL_FUNCTION_NAME(std::declval<const OutputArchive&>(), target));
        std::remove_cvref_t<Saved> saved = codec::get<std::remove_cvref_t<Saved>>(decoder);
        CEREAL_LOAD_MINIMAL_FUNCTION_NAME(std::as_const(archive), target, saved);
    }
}

// ---- cereal's wrappers ----

enum class Wrapper : unsigned char { none, named, deferred, size, binary, item, base };

template <class T>
inline constexpr Wrapper wrapper = Wrapper::none;
template <class T>
inline constexpr Wrapper wrapper<cereal::NameValuePair<T>> = Wrapper::named;
template <class T>
inline constexpr Wrapper wrapper<cereal::DeferredData<T>> = Wrapper::deferred;
template <class T>
inline constexpr Wrapper wrapper<cereal::SizeTag<T>> = Wrapper::size;
template <class T>
inline constexpr Wrapper wrapper<cereal::BinaryData<T>> = Wrapper::binary;
template <class Key, class Value>
inline constexpr Wrapper wrapper<cereal::MapItem<Key, Value>> = Wrapper::item;
// cereal::base_class<Base>, without its header, which would double what a user of the codec compiles.
template <template <class> class Wrapped, class Base>
    requires requires(Wrapped<Base> base) {
        { base.base_ptr } -> std::same_as<Base*&>;
    }
inline constexpr Wrapper wrapper<Wrapped<Base>> = Wrapper::base;

template <class Base>
constexpr void assert_base() {
    static_assert(cereal_form<Base> != CerealForm::none || PlainAggregate<Base>,
                  "multiproc: a class named by cereal::base_class needs a cereal serialize() too, or to be a plain "
                  "aggregate");
}

template <class Namespace>
template <class T>
void BasicOutputArchive<Namespace>::process(const T& value) {
    if constexpr (wrapper<T> == Wrapper::named || wrapper<T> == Wrapper::deferred) {
        process(value.value);
    } else if constexpr (wrapper<T> == Wrapper::size) {
        put_length(*encoder_, static_cast<std::size_t>(value.size));
    } else if constexpr (wrapper<T> == Wrapper::binary) {
        encoder_->out().write(value.data, static_cast<std::size_t>(value.size));
    } else if constexpr (wrapper<T> == Wrapper::item) {
        process(value.key);
        process(value.value);
    } else if constexpr (wrapper<T> == Wrapper::base) {
        assert_base<std::remove_cvref_t<decltype(*value.base_ptr)>>();
        codec::put(*encoder_, *value.base_ptr);
    } else if constexpr (std::is_array_v<T>) {
        for (const auto& element : value) process(element);
    } else {
        assert_encodable<T>();
        codec::put(*encoder_, value);
    }
}

template <class Namespace>
template <class T>
void BasicInputArchive<Namespace>::process(T& value) {
    if constexpr (wrapper<T> == Wrapper::named || wrapper<T> == Wrapper::deferred) {
        process(value.value);
    } else if constexpr (wrapper<T> == Wrapper::size) {
        // How big the elements are is not known here; but each takes at least one byte.
        value.size = static_cast<std::remove_cvref_t<decltype(value.size)>>(get_length<1>(*decoder_));
    } else if constexpr (wrapper<T> == Wrapper::binary) {
        if (value.size > decoder_->in().remaining()) throw_bad_length(value.size, 1, decoder_->in().remaining());
        decoder_->in().read(value.data, static_cast<std::size_t>(value.size));
    } else if constexpr (wrapper<T> == Wrapper::item) {
        process(value.key);
        process(value.value);
    } else if constexpr (wrapper<T> == Wrapper::base) {
        assert_base<std::remove_cvref_t<decltype(*value.base_ptr)>>();
        codec::get_into(*decoder_, *value.base_ptr);
    } else if constexpr (std::is_array_v<T>) {
        for (auto& element : value) process(element);
    } else {
        assert_encodable<T>();
        codec::get_into(*decoder_, value);
    }
}

}  // namespace multiproc::detail::codec
