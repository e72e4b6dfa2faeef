// Keys.
#include <multiproc/network.hpp>

#include <stdexcept>

#include "crypto.hpp"

namespace multiproc {
namespace {

int value_of(char digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
    throw std::invalid_argument("multiproc: AuthKey::from_hex: there is something that is no hexadecimal digit");
}

}  // namespace

AuthKey AuthKey::random() {
    std::vector<std::byte> bytes(network::digest_size);
    network::random_bytes(bytes);
    return AuthKey(std::move(bytes));
}

AuthKey AuthKey::from_string(std::string_view text) {
    if (text.empty()) throw std::invalid_argument("multiproc: AuthKey::from_string: the key is empty");
    const network::Bytes bytes = std::as_bytes(std::span(text));
    return AuthKey(std::vector<std::byte>(bytes.begin(), bytes.end()));
}

AuthKey AuthKey::from_hex(std::string_view digits) {
    if (digits.empty() || digits.size() % 2 != 0)
        throw std::invalid_argument("multiproc: AuthKey::from_hex: the key is empty, or half of a byte is missing");
    std::vector<std::byte> bytes;
    bytes.reserve(digits.size() / 2);
    for (std::size_t i = 0; i < digits.size(); i += 2)
        bytes.push_back(static_cast<std::byte>(value_of(digits[i]) * 16 + value_of(digits[i + 1])));
    return AuthKey(std::move(bytes));
}

std::string AuthKey::hex() const {
    constexpr char digits[] = "0123456789abcdef";
    std::string text;
    text.reserve(bytes_.size() * 2);
    for (const std::byte byte : bytes_) {
        text += digits[std::to_integer<unsigned>(byte) >> 4];
        text += digits[std::to_integer<unsigned>(byte) & 15];
    }
    return text;
}

AuthKey::~AuthKey() { network::wipe(bytes_); }

}  // namespace multiproc
