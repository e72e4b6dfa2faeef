// Types that bring cereal functions: serialize, save and load, or save_minimal and load_minimal, as members or free
// functions, with or without a version. Internal.
//
// The archives here are the codec's own; they accept what cereal's archives accept inside such functions: any encodable
// value, CEREAL_NVP, base_class, size_tag, binary_data and defer. They do not know cereal's polymorphic types.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include <cereal/access.hpp>

namespace multiproc::detail::codec {

class Encoder;
class Decoder;

// The parameter makes `cereal` an associated namespace, so that functions written there are found as with cereal's own
// archives.
template <class Namespace>
class BasicOutputArchive {
public:
    using is_saving = std::true_type;
    using is_loading = std::false_type;

    explicit BasicOutputArchive(Encoder& encoder) noexcept : encoder_(&encoder) {}

    template <class... Ts>
    BasicOutputArchive& operator()(Ts&&... values) {
        (process(values), ...);
        return *this;
    }
    template <class T>
    BasicOutputArchive& operator&(T&& value) {
        process(value);
        return *this;
    }
    template <class T>
    BasicOutputArchive& operator<<(T&& value) {
        process(value);
        return *this;
    }
    void serializeDeferments() noexcept {}  // nothing is ever put off

private:
    template <class T>
    void process(const T& value);

    Encoder* encoder_;
};

template <class Namespace>
class BasicInputArchive {
public:
    using is_saving = std::false_type;
    using is_loading = std::true_type;

    explicit BasicInputArchive(Decoder& decoder) noexcept : decoder_(&decoder) {}

    template <class... Ts>
    BasicInputArchive& operator()(Ts&&... values) {
        (process(values), ...);
        return *this;
    }
    template <class T>
    BasicInputArchive& operator&(T&& value) {
        process(value);
        return *this;
    }
    template <class T>
    BasicInputArchive& operator>>(T&& value) {
        process(value);
        return *this;
    }
    void serializeDeferments() noexcept {}

private:
    template <class T>
    void process(T& value);

    Decoder* decoder_;
};

using OutputArchive = BasicOutputArchive<cereal::access>;
using InputArchive = BasicInputArchive<cereal::access>;

/// The same on both sides: messages travel between processes of one build only.
template <class T>
std::uint32_t class_version() noexcept {
    return cereal::detail::Version<T>::version;
}

// Stands for an object of some base of T: a free function that takes one was not written for T and would lose its
// members.
template <class T>
struct AnyBaseRefOf {
    template <class U>
        requires(std::is_base_of_v<U, T> && !std::is_same_v<std::remove_cv_t<U>, T>)
    operator U&() const;
};

enum class CerealForm : unsigned char {
    none,
    member,
    member_versioned,
    member_split,
    member_split_versioned,
    member_minimal,
    free,
    free_versioned,
    free_split,
    free_split_versioned,
    free_minimal,
};

// Unqualified names, so that only functions of the type's namespace and of cereal are found.
template <class A, class T>
concept FreeSerialize = requires(A& archive, T& value) { CEREAL_SERIALIZE_FUNCTION_NAME(archive, value); } &&
                        !requires(A& archive, AnyBaseRefOf<T> base) { CEREAL_SERIALIZE_FUNCTION_NAME(archive, base); };
template <class A, class T>
concept FreeVersionedSerialize = requires(A& archive, T& value) {
    CEREAL_SERIALIZE_FUNCTION_NAME(archive, value, std::uint32_t{});
} && !requires(A& archive, AnyBaseRefOf<T> base) { CEREAL_SERIALIZE_FUNCTION_NAME(archive, base, std::uint32_t{}); };
template <class A, class T>
concept FreeSave = requires(A& archive, const T& value) { CEREAL_SAVE_FUNCTION_NAME(archive, value); } &&
                   !requires(A& archive, AnyBaseRefOf<T> base) { CEREAL_SAVE_FUNCTION_NAME(archive, base); };
template <class A, class T>
concept FreeVersionedSave = requires(A& archive, const T& value) {
    CEREAL_SAVE_FUNCTION_NAME(archive, value, std::uint32_t{});
} && !requires(A& archive, AnyBaseRefOf<T> base) { CEREAL_SAVE_FUNCTION_NAME(archive, base, std::uint32_t{}); };
template <class A, class T>
concept FreeSaveMinimal = requires(const A& archive, const T& value) {
    CEREAL_SAVE_MINIMAL_FUNCTION_NAME(archive, value);
} && !requires(const A& archive, AnyBaseRefOf<T> base) { CEREAL_SAVE_MINIMAL_FUNCTION_NAME(archive, base); };

template <class T>
constexpr CerealForm find_cereal_form() {
    using A = OutputArchive;
    if constexpr (!std::is_class_v<T>) {
        return CerealForm::none;
    } else if constexpr (requires(A& a, T& t) { cereal::access::member_serialize(a, t); }) {
        return CerealForm::member;
    } else if constexpr (requires(A& a, T& t) { cereal::access::member_serialize(a, t, std::uint32_t{}); }) {
        return CerealForm::member_versioned;
    } else if constexpr (requires(A& a, const T& t) { cereal::access::member_save(a, t); }) {
        return CerealForm::member_split;
    } else if constexpr (requires(A& a, const T& t) { cereal::access::member_save(a, t, std::uint32_t{}); }) {
        return CerealForm::member_split_versioned;
    } else if constexpr (requires(const A& a, const T& t) { cereal::access::member_save_minimal(a, t); }) {
        return CerealForm::member_minimal;
    } else if constexpr (FreeSerialize<A, T>) {
        return CerealForm::free;
    } else if constexpr (FreeVersionedSerialize<A, T>) {
        return CerealForm::free_versioned;
    } else if constexpr (FreeSave<A, T>) {
        return CerealForm::free_split;
    } else if constexpr (FreeVersionedSave<A, T>) {
        return CerealForm::free_split_versioned;
    } else if constexpr (FreeSaveMinimal<A, T>) {
        return CerealForm::free_minimal;
    } else {
        return CerealForm::none;
    }
}

template <class T>
inline constexpr CerealForm cereal_form = find_cereal_form<T>();

// Whether what was saved in that form can be loaded.
template <class T>
constexpr bool cereal_loads() {
    using A = InputArchive;
    constexpr CerealForm form = cereal_form<T>;
    constexpr std::uint32_t version = 0;
    if constexpr (form == CerealForm::member) {
        return requires(A& a, T& t) { cereal::access::member_serialize(a, t); };
    } else if constexpr (form == CerealForm::member_versioned) {
        return requires(A& a, T& t) { cereal::access::member_serialize(a, t, version); };
    } else if constexpr (form == CerealForm::member_split) {
        return requires(A& a, T& t) { cereal::access::member_load(a, t); };
    } else if constexpr (form == CerealForm::member_split_versioned) {
        return requires(A& a, T& t) { cereal::access::member_load(a, t, version); };
    } else if constexpr (form == CerealForm::free) {
        return requires(A& a, T& t) { CEREAL_SERIALIZE_FUNCTION_NAME(a, t); };
    } else if constexpr (form == CerealForm::free_versioned) {
        return requires(A& a, T& t) { CEREAL_SERIALIZE_FUNCTION_NAME(a, t, version); };
    } else if constexpr (form == CerealForm::free_split) {
        return requires(A& a, T& t) { CEREAL_LOAD_FUNCTION_NAME(a, t); };
    } else if constexpr (form == CerealForm::free_split_versioned) {
        return requires(A& a, T& t) { CEREAL_LOAD_FUNCTION_NAME(a, t, version); };
    } else if constexpr (form == CerealForm::member_minimal) {
        return requires(const A& a, T& t, const OutputArchive& out) {
            cereal::access::member_load_minimal(a, t, cereal::access::member_save_minimal(out, t));
        };
    } else {
        return requires(const A& a, T& t, const OutputArchive& out) {
            CEREAL_LOAD_MINIMAL_FUNCTION_NAME(a, t, CEREAL_SAVE_MINIMAL_FUNCTION_NAME(out, t));
        };
    }
}

template <class Owner, class Archive, class R>
Owner owner_of(R (Owner::*)(Archive&));

template <class T, class Archive = OutputArchive>
auto serialize_owner(int)
    -> std::type_identity<decltype(owner_of(&T::template CEREAL_SERIALIZE_FUNCTION_NAME<Archive>))>;
template <class T>
auto serialize_owner(...) -> std::type_identity<T>;  // private, overloaded or no template: it is not known whose it is

/// A serialize() that T inherits from a base with members of its own does not know the members that T adds. (A base
/// without members is taken for a helper that knows its derived class.)
template <class T>
constexpr bool inherits_serialize() {
    using Owner = typename decltype(serialize_owner<T>(0))::type;
    return !std::is_same_v<Owner, T> && !std::is_empty_v<Owner>;
}

}  // namespace multiproc::detail::codec
