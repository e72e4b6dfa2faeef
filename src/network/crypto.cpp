// The part of the cryptography that needs no library.
#include "crypto.hpp"

namespace multiproc::network {

Digest hmac_sha256(Bytes key, Bytes bytes) {
    HmacSha256 hmac(key);
    hmac.update(bytes);
    return hmac.finish();
}

bool equal_in_constant_time(Bytes a, Bytes b) noexcept {
    if (a.size() != b.size()) return false;
    // Volatile, so that the compiler cannot see that nothing changes any more once a bit is set.
    volatile unsigned char difference = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        difference = static_cast<unsigned char>(difference | std::to_integer<unsigned char>(a[i] ^ b[i]));
    return difference == 0;
}

void wipe(std::span<std::byte> secret) noexcept {
    volatile std::byte* const bytes = secret.data();
    for (std::size_t i = 0; i < secret.size(); ++i) bytes[i] = std::byte{0};
}

}  // namespace multiproc::network
