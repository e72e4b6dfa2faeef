// Strings and containers of the standard library. Internal.
#pragma once

#include <deque>
#include <forward_list>
#include <list>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <multiproc/detail/codec_core.hpp>

namespace multiproc::detail::codec {

// ---- blocks: contiguous values that travel as their bytes ----

/// From this size on a block begins at an address that suits its elements, so that a vector can be made right from it.
inline constexpr std::size_t aligned_block = 256;
/// Messages begin at such an address at least.
inline constexpr std::size_t message_alignment = 16;

template <class T>
inline constexpr std::size_t block_alignment = std::min(alignof(T), message_alignment);

template <class T>
void put_block(Encoder& encoder, const T* elements, std::size_t count) {
    OutputBuffer& out = encoder.out();
    put_length(encoder, count);
    const std::size_t size = count * sizeof(T);
    if constexpr (block_alignment<T> > 1) {
        if (size >= aligned_block) {
            // How much is skipped is written down, since a message may be read from the middle of a longer one.
            const std::size_t skip = (block_alignment<T> - (out.size() + 1) % block_alignment<T>) % block_alignment<T>;
            std::byte* place = out.append(1 + skip);
            std::memset(place, 0, 1 + skip);
            place[0] = static_cast<std::byte>(skip);
        }
    }
    out.write(elements, size);
}

struct Block {
    const std::byte* bytes;
    std::size_t count;
};

template <class T>
Block get_block(Decoder& decoder) {
    const std::size_t count = get_length<sizeof(T)>(decoder);
    const std::size_t size = count * sizeof(T);
    if constexpr (block_alignment<T> > 1) {
        if (size >= aligned_block) {
            const auto skip = decoder.number<std::uint8_t>();
            if (skip >= block_alignment<T>) throw_bad_padding(skip);
            decoder.in().take(skip);
        }
    }
    return {decoder.in().take(size), count};
}

template <class T>
bool is_aligned(const std::byte* bytes) noexcept {
    return alignof(T) == 1 || reinterpret_cast<std::uintptr_t>(bytes) % alignof(T) == 0;
}

/// A vector or string of the values in the block. Each of its bytes is written once: nothing is zeroed first. What has to be
/// looked at is copied first, as another process may still write to the block.
template <class C>
C from_block(Block block) {
    using T = typename C::value_type;
    if (!holds_bool<T>() && is_aligned<T>(block.bytes)) {
        const T* first = reinterpret_cast<const T*>(block.bytes);
        return C(first, first + block.count);
    }
    C result;
    result.reserve(block.count);
    constexpr std::size_t chunk = std::max<std::size_t>(4096 / sizeof(T), 1);
    alignas(T) std::byte aligned[chunk * sizeof(T)];
    for (std::size_t done = 0; done != block.count;) {
        const std::size_t some = std::min(chunk, block.count - done);
        std::memcpy(aligned, block.bytes + done * sizeof(T), some * sizeof(T));
        check_bools<T>(aligned, some);
        const T* first = reinterpret_cast<const T*>(aligned);
        result.insert(result.end(), first, first + some);
        done += some;
    }
    return result;
}

/// How many elements to make room for at once. A message may promise as many elements as it has bytes, and an element
/// may be far bigger in memory than in the message, so there is room for a few times the bytes that are left at first.
template <class T>
std::size_t first_capacity(std::size_t count, Decoder& decoder) noexcept {
    return std::min(count, 1 + decoder.in().remaining() * 8 / sizeof(T));
}

template <class Allocator>
inline constexpr Problem allocator_problem =
    std::is_default_constructible_v<Allocator> ? Problem::none : Problem::stateful_allocator;

template <class... Policies>
inline constexpr Problem policy_problem =
    (... && (std::is_empty_v<Policies> && std::is_default_constructible_v<Policies>)) ? Problem::none
                                                                                      : Problem::stateful_comparison;

constexpr Problem first_problem(Problem a, Problem b) { return a != Problem::none ? a : b; }

// ---- std::basic_string, std::vector ----

template <class C>
struct ContiguousCoder {
    using T = typename C::value_type;
    static constexpr Problem problem = allocator_problem<typename C::allocator_type>;
    using Parts = Types<T>;
    static constexpr std::size_t min_size() { return sizeof(std::uint64_t); }

    static void put(Encoder& encoder, const C& values) {
        if constexpr (bits<T>) {
            put_block(encoder, values.data(), values.size());
        } else {
            Nesting level(encoder.depth());
            put_length(encoder, values.size());
            for (const T& value : values) codec::put(encoder, value);
        }
    }

    static C get(Decoder& decoder) {
        if constexpr (bits<T>) {
            return from_block<C>(get_block<T>(decoder));
        } else {
            Nesting level(decoder.depth());
            const std::size_t count = get_length<codec::min_size<T>()>(decoder);
            C result;
            result.reserve(first_capacity<T>(count, decoder));
            for (std::size_t i = 0; i != count; ++i) result.push_back(codec::get<T>(decoder));
            return result;
        }
    }
};

template <class Char, class Traits, class A>
struct Coder<std::basic_string<Char, Traits, A>> : ContiguousCoder<std::basic_string<Char, Traits, A>> {};

template <class T, class Allocator>
struct Coder<std::vector<T, Allocator>> : ContiguousCoder<std::vector<T, Allocator>> {};

/// Whether a `T` travels as its length and its elements' bytes, one behind the other, whatever their number.
template <class T>
inline constexpr bool is_byte_block = false;
template <class Char, class Traits, class A>
inline constexpr bool is_byte_block<std::basic_string<Char, Traits, A>> =
    bits<Char> && block_alignment<Char> == 1 && allocator_problem<A> == Problem::none;
template <class T, class A>
inline constexpr bool is_byte_block<std::vector<T, A>> =
    bits<T> && block_alignment<T> == 1 && !std::is_same_v<T, bool> && allocator_problem<A> == Problem::none;

template <class Allocator>
struct Coder<std::vector<bool, Allocator>> {
    using C = std::vector<bool, Allocator>;
    static constexpr Problem problem = allocator_problem<Allocator>;
    using Parts = Types<>;
    static constexpr std::size_t min_size() { return sizeof(std::uint64_t); }

    static void put(Encoder& encoder, const C& values) {
        put_length(encoder, values.size());
        std::byte* place = encoder.out().append(values.size() / 8 + (values.size() % 8 != 0));
        unsigned byte = 0;
        std::size_t i = 0;
        for (const bool value : values) {
            byte |= unsigned{value} << i % 8;
            if (++i % 8 == 0) {
                *place++ = static_cast<std::byte>(byte);
                byte = 0;
            }
        }
        if (i % 8 != 0) *place = static_cast<std::byte>(byte);
    }

    static C get(Decoder& decoder) {
        const auto count = decoder.number<std::uint64_t>();
        const std::uint64_t size = count / 8 + (count % 8 != 0);
        if (size > decoder.in().remaining()) throw_bad_length(size, 1, decoder.in().remaining());
        const std::byte* place = decoder.in().take(static_cast<std::size_t>(size));
        C result(static_cast<std::size_t>(count));
        for (std::size_t i = 0; i != result.size(); ++i) {
            result[i] = (std::to_integer<unsigned>(place[i / 8]) >> i % 8 & 1U) != 0;
        }
        return result;
    }
};

// ---- lists ----

template <class C>
struct ListCoder {
    using T = typename C::value_type;
    static constexpr Problem problem = allocator_problem<typename C::allocator_type>;
    using Parts = Types<T>;
    static constexpr std::size_t min_size() { return sizeof(std::uint64_t); }

    static void put(Encoder& encoder, const C& values) {
        Nesting level(encoder.depth());
        put_length(encoder, static_cast<std::size_t>(std::distance(values.begin(), values.end())));
        for (const T& value : values) codec::put(encoder, value);
    }

    static C get(Decoder& decoder) {
        Nesting level(decoder.depth());
        C result;
        if constexpr (requires { result.push_back(std::declval<T>()); }) {
            for (std::size_t left = get_length<codec::min_size<T>()>(decoder); left != 0; --left) {
                result.push_back(codec::get<T>(decoder));
            }
        } else {
            auto last = result.before_begin();
            for (std::size_t left = get_length<codec::min_size<T>()>(decoder); left != 0; --left) {
                last = result.insert_after(last, codec::get<T>(decoder));
            }
        }
        return result;
    }
};

template <class T, class Allocator>
struct Coder<std::deque<T, Allocator>> : ListCoder<std::deque<T, Allocator>> {};
template <class T, class Allocator>
struct Coder<std::list<T, Allocator>> : ListCoder<std::list<T, Allocator>> {};
template <class T, class Allocator>
struct Coder<std::forward_list<T, Allocator>> : ListCoder<std::forward_list<T, Allocator>> {};

// ---- sets and maps ----

template <class C, class PartTypes, Problem policies>
struct AssociativeCoder {
    using T = typename C::value_type;
    static constexpr Problem problem = first_problem(policies, allocator_problem<typename C::allocator_type>);
    using Parts = PartTypes;
    static constexpr std::size_t min_size() { return sizeof(std::uint64_t); }

    static void put(Encoder& encoder, const C& values) {
        Nesting level(encoder.depth());
        put_length(encoder, values.size());
        for (const T& value : values) codec::put(encoder, value);
    }

    static C get(Decoder& decoder) {
        Nesting level(decoder.depth());
        C result;
        const std::size_t count = get_length<codec::min_size<T>()>(decoder);
        if constexpr (requires { result.reserve(count); }) result.reserve(first_capacity<T>(count, decoder));
        for (std::size_t i = 0; i != count; ++i) {
            if constexpr (requires { typename C::mapped_type; }) {
                auto key = codec::get<typename C::key_type>(decoder);
                auto value = codec::get<typename C::mapped_type>(decoder);
                result.emplace_hint(result.end(), std::move(key), std::move(value));
            } else {
                result.emplace_hint(result.end(), codec::get<T>(decoder));
            }
        }
        return result;
    }
};

template <class K, class Compare, class A>
struct Coder<std::set<K, Compare, A>> : AssociativeCoder<std::set<K, Compare, A>, Types<K>, policy_problem<Compare>> {};
template <class K, class Compare, class A>
struct Coder<std::multiset<K, Compare, A>>
    : AssociativeCoder<std::multiset<K, Compare, A>, Types<K>, policy_problem<Compare>> {};
template <class K, class V, class Compare, class A>
struct Coder<std::map<K, V, Compare, A>>
    : AssociativeCoder<std::map<K, V, Compare, A>, Types<K, V>, policy_problem<Compare>> {};
template <class K, class V, class Compare, class A>
struct Coder<std::multimap<K, V, Compare, A>>
    : AssociativeCoder<std::multimap<K, V, Compare, A>, Types<K, V>, policy_problem<Compare>> {};
template <class K, class Hash, class Equal, class A>
struct Coder<std::unordered_set<K, Hash, Equal, A>>
    : AssociativeCoder<std::unordered_set<K, Hash, Equal, A>, Types<K>, policy_problem<Hash, Equal>> {};
template <class K, class Hash, class Equal, class A>
struct Coder<std::unordered_multiset<K, Hash, Equal, A>>
    : AssociativeCoder<std::unordered_multiset<K, Hash, Equal, A>, Types<K>, policy_problem<Hash, Equal>> {};
template <class K, class V, class Hash, class Equal, class A>
struct Coder<std::unordered_map<K, V, Hash, Equal, A>>
    : AssociativeCoder<std::unordered_map<K, V, Hash, Equal, A>, Types<K, V>, policy_problem<Hash, Equal>> {};
template <class K, class V, class Hash, class Equal, class A>
struct Coder<std::unordered_multimap<K, V, Hash, Equal, A>>
    : AssociativeCoder<std::unordered_multimap<K, V, Hash, Equal, A>, Types<K, V>, policy_problem<Hash, Equal>> {};

}  // namespace multiproc::detail::codec
