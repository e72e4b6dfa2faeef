// HMAC-SHA-256 and random bytes by CommonCrypto, which is a part of macOS.
#if defined(__APPLE__)

#include "network/crypto.hpp"

#include <CommonCrypto/CommonHMAC.h>
#include <CommonCrypto/CommonRandom.h>

#include <system_error>
#include <vector>

namespace multiproc::network {

static_assert(digest_size == CC_SHA256_DIGEST_LENGTH);

struct HmacSha256::State {
    explicit State(Bytes secret) : key(secret.begin(), secret.end()) { begin(); }
    ~State() {
        wipe(key);
        wipe(std::as_writable_bytes(std::span(&context, 1)));
    }
    void begin() { CCHmacInit(&context, kCCHmacAlgSHA256, key.data(), key.size()); }

    std::vector<std::byte> key;
    CCHmacContext context{};
};

HmacSha256::HmacSha256(Bytes key) : state_(std::make_unique<State>(key)) {}
HmacSha256::HmacSha256(HmacSha256&&) noexcept = default;
HmacSha256& HmacSha256::operator=(HmacSha256&&) noexcept = default;
HmacSha256::~HmacSha256() = default;

void HmacSha256::update(Bytes bytes) { CCHmacUpdate(&state_->context, bytes.data(), bytes.size()); }

Digest HmacSha256::finish() {
    Digest digest;
    CCHmacFinal(&state_->context, digest.data());
    state_->begin();
    return digest;
}

void random_bytes(std::span<std::byte> target) {
    if (CCRandomGenerateBytes(target.data(), target.size()) != kCCSuccess)
        throw std::system_error(std::make_error_code(std::errc::io_error), "multiproc: the system has no random bytes");
}

}  // namespace multiproc::network

#endif
