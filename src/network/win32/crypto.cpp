// HMAC-SHA-256 and random bytes by CNG, which is a part of Windows.
#include "network/crypto.hpp"

#include <windows.h>

#include <bcrypt.h>

#include <algorithm>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace multiproc::network {
namespace {

void check(NTSTATUS status, const char* what) {
    if (status < 0)
        throw std::system_error(std::make_error_code(std::errc::io_error),
                                std::string(what) + " (NTSTATUS " + std::to_string(status) + ")");
}

// CNG counts in 32 bits.
constexpr std::size_t most_at_once = std::size_t{1} << 30;

UCHAR* raw(const std::byte* bytes) noexcept { return reinterpret_cast<UCHAR*>(const_cast<std::byte*>(bytes)); }

}  // namespace

struct HmacSha256::State {
    explicit State(Bytes secret) : key(secret.begin(), secret.end()) {
        check(::BCryptOpenAlgorithmProvider(&algorithm, BCRYPT_SHA256_ALGORITHM, nullptr, BCRYPT_ALG_HANDLE_HMAC_FLAG),
              "multiproc: Windows has no HMAC with SHA-256");
    }
    ~State() {
        if (hash != nullptr) ::BCryptDestroyHash(hash);
        ::BCryptCloseAlgorithmProvider(algorithm, 0);
        wipe(key);
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    BCRYPT_HASH_HANDLE current() {
        if (hash == nullptr)
            check(::BCryptCreateHash(algorithm, &hash, nullptr, 0, raw(key.data()), static_cast<ULONG>(key.size()), 0),
                  "multiproc: HMAC cannot be started");
        return hash;
    }

    std::vector<std::byte> key;
    BCRYPT_ALG_HANDLE algorithm = nullptr;
    BCRYPT_HASH_HANDLE hash = nullptr;  // begun by the first that needs it
};

HmacSha256::HmacSha256(Bytes key) : state_(std::make_unique<State>(key)) {}
HmacSha256::HmacSha256(HmacSha256&&) noexcept = default;
HmacSha256& HmacSha256::operator=(HmacSha256&&) noexcept = default;
HmacSha256::~HmacSha256() = default;

void HmacSha256::update(Bytes bytes) {
    while (!bytes.empty()) {
        const std::size_t count = (std::min)(bytes.size(), most_at_once);
        check(::BCryptHashData(state_->current(), raw(bytes.data()), static_cast<ULONG>(count), 0),
              "multiproc: HMAC failed");
        bytes = bytes.subspan(count);
    }
}

Digest HmacSha256::finish() {
    Digest digest;
    const BCRYPT_HASH_HANDLE hash = state_->current();
    const NTSTATUS status = ::BCryptFinishHash(hash, raw(digest.data()), static_cast<ULONG>(digest.size()), 0);
    ::BCryptDestroyHash(std::exchange(state_->hash, nullptr));
    check(status, "multiproc: HMAC failed");
    return digest;
}

void random_bytes(std::span<std::byte> target) {
    check(::BCryptGenRandom(nullptr, raw(target.data()), static_cast<ULONG>(target.size()),
                            BCRYPT_USE_SYSTEM_PREFERRED_RNG),
          "multiproc: Windows has no random bytes");
}

}  // namespace multiproc::network
