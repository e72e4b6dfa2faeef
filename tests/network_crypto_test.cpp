// The cryptography that connections between machines rest on, against the vectors of RFC 4231, and keys.
#include <gtest/gtest.h>

#include <cstddef>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <multiproc/codec.hpp>
#include <multiproc/network.hpp>

#include "network/crypto.hpp"

namespace {

namespace mp = multiproc;
namespace network = multiproc::network;

network::Bytes bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

std::string hex(network::Bytes bytes) {
    std::string text;
    for (const std::byte byte : bytes) {
        constexpr char digits[] = "0123456789abcdef";
        text += digits[std::to_integer<unsigned>(byte) >> 4];
        text += digits[std::to_integer<unsigned>(byte) & 15];
    }
    return text;
}

struct Vector {
    std::string key, data, digest;
};

std::vector<Vector> rfc_4231() {
    std::string counting;
    for (char byte = 1; byte <= 25; ++byte) counting += byte;
    return {
        {std::string(20, '\x0b'), "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {"Jefe", "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {std::string(20, '\xaa'), std::string(50, '\xdd'),
         "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
        {counting, std::string(50, '\xcd'), "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
        {std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First",
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
        {std::string(131, '\xaa'),
         "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be "
         "hashed before being used by the HMAC algorithm.",
         "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
    };
}

TEST(NetworkCrypto, hmac_sha256_gives_what_rfc_4231_says) {
    for (const Vector& vector : rfc_4231())
        EXPECT_EQ(hex(network::hmac_sha256(bytes_of(vector.key), bytes_of(vector.data))), vector.digest);
}

TEST(NetworkCrypto, one_object_signs_one_message_after_the_other_in_any_pieces) {
    for (const Vector& vector : rfc_4231()) {
        network::HmacSha256 hmac(bytes_of(vector.key));
        for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{1000}}) {
            for (network::Bytes rest = bytes_of(vector.data); !rest.empty();
                 rest = rest.subspan((std::min)(piece, rest.size())))
                hmac.update(rest.first((std::min)(piece, rest.size())));
            EXPECT_EQ(hex(hmac.finish()), vector.digest);
        }
        EXPECT_EQ(hmac.finish(), network::hmac_sha256(bytes_of(vector.key), {}));
    }
}

TEST(NetworkCrypto, comparison_sees_every_difference) {
    const network::Digest one = network::hmac_sha256(bytes_of("key"), bytes_of("data"));
    EXPECT_TRUE(network::equal_in_constant_time(one, one));
    for (std::size_t bit = 0; bit < one.size() * 8; ++bit) {
        network::Digest other = one;
        other[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
        EXPECT_FALSE(network::equal_in_constant_time(one, other));
    }
    EXPECT_FALSE(network::equal_in_constant_time(one, network::Bytes(one).first(31)));
}

TEST(NetworkCrypto, random_bytes_are_never_the_same) {
    network::Digest one{}, other{};
    network::random_bytes(one);
    network::random_bytes(other);
    EXPECT_NE(one, other);
    EXPECT_NE(one, network::Digest{});
}

TEST(NetworkKey, goes_through_hexadecimal_digits_and_to_processes) {
    const mp::AuthKey key = mp::AuthKey::random();
    EXPECT_EQ(key.hex().size(), 64u);
    EXPECT_NE(key.hex(), mp::AuthKey::random().hex());
    EXPECT_EQ(mp::AuthKey::from_hex(key.hex()).hex(), key.hex());
    EXPECT_EQ(mp::AuthKey::from_hex("00fFAb").hex(), "00ffab");
    EXPECT_EQ(mp::AuthKey::from_string("key").hex(), "6b6579");
    mp::HeapBuffer out;
    mp::encode(out, key);
    mp::InputBuffer in(out.bytes());
    EXPECT_EQ(mp::decode<mp::AuthKey>(in).hex(), key.hex());
    mp::AuthKey copy = key;
    const mp::AuthKey moved = std::move(copy);
    EXPECT_EQ(moved.hex(), key.hex());
}

template <class T>
concept Printable = requires(std::ostream& stream, const T& value) { stream << value; };

TEST(NetworkKey, is_never_empty_and_never_printed) {
    EXPECT_THROW((void)mp::AuthKey::from_string(""), std::invalid_argument);
    EXPECT_THROW((void)mp::AuthKey::from_hex(""), std::invalid_argument);
    EXPECT_THROW((void)mp::AuthKey::from_hex("abc"), std::invalid_argument);
    EXPECT_THROW((void)mp::AuthKey::from_hex("ag"), std::invalid_argument);
    static_assert(!std::is_default_constructible_v<mp::AuthKey>);
    static_assert(!Printable<mp::AuthKey>);
    static_assert(!std::is_convertible_v<mp::AuthKey, std::string>);
}

}  // namespace
