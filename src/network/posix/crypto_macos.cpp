// HMAC-SHA-256 and random bytes by CommonCrypto, which is a part of macOS.
#include "network/crypto.hpp"

#include <stdlib.h>

#include <vector>

#if __has_include(<CommonCrypto/CommonHMAC.h>)
#include <CommonCrypto/CommonHMAC.h>
#else
// As the system's header has them; cross compilers come without it.
extern "C" {
typedef struct {
    uint32_t ctx[96];
} CCHmacContext;
typedef uint32_t CCHmacAlgorithm;
enum : CCHmacAlgorithm { kCCHmacAlgSHA256 = 2 };
void CCHmacInit(CCHmacContext* context, CCHmacAlgorithm algorithm, const void* key, size_t size);
void CCHmacUpdate(CCHmacContext* context, const void* data, size_t size);
void CCHmacFinal(CCHmacContext* context, void* digest);
}
#endif

namespace multiproc::network {

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

// The system's cryptographic source, which cannot fail.
void random_bytes(std::span<std::byte> target) { ::arc4random_buf(target.data(), target.size()); }

}  // namespace multiproc::network
