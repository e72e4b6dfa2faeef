// HMAC-SHA-256 and random bytes by OpenSSL. What macOS takes is in crypto_macos.cpp.
#include "network/crypto.hpp"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <limits>
#include <system_error>
#include <vector>

namespace multiproc::network {
namespace {

void check(bool worked, const char* what) {
    if (!worked) throw std::system_error(std::make_error_code(std::errc::io_error), what);
}

struct Free {
    void operator()(EVP_MAC* mac) const noexcept { EVP_MAC_free(mac); }
    void operator()(EVP_MAC_CTX* context) const noexcept { EVP_MAC_CTX_free(context); }
};

const unsigned char* raw(Bytes bytes) noexcept { return reinterpret_cast<const unsigned char*>(bytes.data()); }

}  // namespace

struct HmacSha256::State {
    explicit State(Bytes secret) : key(secret.begin(), secret.end()) {
        const std::unique_ptr<EVP_MAC, Free> mac(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
        check(mac != nullptr, "multiproc: OpenSSL has no HMAC");
        context.reset(EVP_MAC_CTX_new(mac.get()));
        char name[] = "SHA256";
        const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                                         OSSL_PARAM_construct_end()};
        check(context != nullptr && EVP_MAC_CTX_set_params(context.get(), parameters) == 1,
              "multiproc: OpenSSL has no HMAC with SHA-256");
        begin();
    }
    ~State() { wipe(key); }

    // The key is given each time: OpenSSL before 3.0.3 does not start anew without one.
    void begin() {
        check(EVP_MAC_init(context.get(), raw(key), key.size(), nullptr) == 1, "multiproc: HMAC cannot be started");
    }

    std::vector<std::byte> key;
    std::unique_ptr<EVP_MAC_CTX, Free> context;
};

HmacSha256::HmacSha256(Bytes key) : state_(std::make_unique<State>(key)) {}
HmacSha256::HmacSha256(HmacSha256&&) noexcept = default;
HmacSha256& HmacSha256::operator=(HmacSha256&&) noexcept = default;
HmacSha256::~HmacSha256() = default;

void HmacSha256::update(Bytes bytes) {
    if (bytes.empty()) return;
    check(EVP_MAC_update(state_->context.get(), raw(bytes), bytes.size()) == 1, "multiproc: HMAC failed");
}

Digest HmacSha256::finish() {
    Digest digest;
    std::size_t size = 0;
    check(EVP_MAC_final(state_->context.get(), reinterpret_cast<unsigned char*>(digest.data()), &size, digest.size()) ==
                  1 &&
              size == digest.size(),
          "multiproc: HMAC failed");
    state_->begin();
    return digest;
}

void random_bytes(std::span<std::byte> target) {
    if (target.size() > static_cast<std::size_t>((std::numeric_limits<int>::max)()))
        throw std::system_error(std::make_error_code(std::errc::value_too_large), "multiproc: random_bytes");
    check(RAND_bytes(reinterpret_cast<unsigned char*>(target.data()), static_cast<int>(target.size())) == 1,
          "multiproc: OpenSSL has no random bytes");
}

}  // namespace multiproc::network
