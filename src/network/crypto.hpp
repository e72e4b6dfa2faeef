// What the network part needs of cryptography. Both back ends take it from a library of the system: OpenSSL,
// CommonCrypto (macOS) or CNG (Windows).
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>

namespace multiproc::network {

inline constexpr std::size_t digest_size = 32;
using Digest = std::array<std::byte, digest_size>;
using Bytes = std::span<const std::byte>;

// HMAC-SHA-256 (RFC 2104, RFC 4231) of what `update` was given since the last `finish`. Belongs to one thread at a
// time. Functions throw std::system_error if the library fails.
class HmacSha256 {
public:
    explicit HmacSha256(Bytes key);
    HmacSha256(HmacSha256&&) noexcept;
    HmacSha256& operator=(HmacSha256&&) noexcept;
    ~HmacSha256();

    void update(Bytes bytes);
    Digest finish();

private:
    struct State;
    std::unique_ptr<State> state_;
};

// Of one piece.
Digest hmac_sha256(Bytes key, Bytes bytes);

// Fills `target` from the system's cryptographic source. Throws std::system_error. Thread-safe.
void random_bytes(std::span<std::byte> target);

// Takes as long for any two pieces of the same size, so how long it took tells nothing about where they differ.
bool equal_in_constant_time(Bytes a, Bytes b) noexcept;

// Overwrites what is not needed any more, also where the compiler sees that nobody reads it afterwards.
void wipe(std::span<std::byte> secret) noexcept;

}  // namespace multiproc::network
