#include "handshake.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

#include <multiproc/network_errors.hpp>

namespace multiproc::network {
namespace {

// What a Hello consists of.
constexpr std::string_view magic = "multproc";
constexpr std::size_t version_at = 8, types_at = 10, nonce_at = 32;
constexpr unsigned char version = 1;

using Hello = std::array<std::byte, hello_size>;
using Verdict = std::array<std::byte, verdict_size>;

enum class Answer : unsigned char { accepted = 1, wrong_key, other_version, other_types };

// What the codec takes for granted that both sides have in common.
Hello make_hello() {
    Hello hello{};
    std::memcpy(hello.data(), magic.data(), magic.size());
    hello[version_at] = std::byte{version};
    const std::uint16_t order = 0x0102;
    std::memcpy(&hello[types_at], &order, sizeof order);
    constexpr std::size_t sizes[] = {sizeof(bool),      sizeof(short),       sizeof(int),        sizeof(long),
                                     sizeof(long long), sizeof(void*),       sizeof(float),      sizeof(double),
                                     sizeof(wchar_t),   sizeof(std::size_t), sizeof(long double)};
    static_assert(types_at + sizeof order + std::size(sizes) <= nonce_at);
    std::byte* place = &hello[types_at + sizeof order];
    for (const std::size_t size : sizes) *place++ = static_cast<std::byte>(size);
    random_bytes(std::span(hello).subspan(nonce_at));
    return hello;
}

bool is_same(const Hello& a, const Hello& b, std::size_t from, std::size_t to) {
    return std::equal(a.begin() + static_cast<std::ptrdiff_t>(from), a.begin() + static_cast<std::ptrdiff_t>(to),
                      b.begin() + static_cast<std::ptrdiff_t>(from));
}

Digest sign(Bytes key, std::string_view purpose, const Hello& listener, const Hello& client) {
    HmacSha256 hmac(key);
    hmac.update(std::as_bytes(std::span(purpose)));
    hmac.update(listener);
    hmac.update(client);
    return hmac.finish();
}

constexpr std::string_view client_proof = "multiproc 1: proof of the client";
constexpr std::string_view listener_proof = "multiproc 1: proof of the listener";
constexpr std::string_view client_messages = "multiproc 1: messages of the client";
constexpr std::string_view listener_messages = "multiproc 1: messages of the listener";

void read_all(ByteStream& stream, std::span<std::byte> target, os::Deadline deadline) {
    while (!target.empty()) {
        const std::optional<std::size_t> count = stream.read_some(target, deadline);
        if (!count) throw TimeoutError("multiproc: the other side did not finish the handshake in time");
        if (*count == 0)
            throw NetworkError("multiproc: the connection ended during the handshake: " + stream.end_reason());
        target = target.subspan(*count);
    }
}

void write_all(ByteStream& stream, Bytes first, Bytes second = {}) {
    try {
        stream.write(first, second);  // so little that it does not wait
    } catch (const ClosedError& gone) {
        if (stream.is_closed()) throw;
        throw NetworkError(gone.what());
    }
}

[[noreturn]] void throw_refused(Answer answer) {
    switch (answer) {
        case Answer::wrong_key: throw AuthenticationError("multiproc: the two sides do not have the same key");
        case Answer::other_version:
            throw ProtocolError("multiproc: the other side has another version of this protocol");
        case Answer::other_types:
            throw ProtocolError("multiproc: the other side is a machine with another order of bytes or sizes of types");
        default: throw ProtocolError("multiproc: the other side does not speak this protocol");
    }
}

Answer compare(const Hello& mine, const Hello& other) {
    if (!is_same(mine, other, version_at, types_at)) return Answer::other_version;
    if (!is_same(mine, other, types_at, nonce_at)) return Answer::other_types;
    return Answer::accepted;
}

}  // namespace

SessionKeys shake_hands_as_listener(ByteStream& stream, Bytes key, os::Deadline deadline) {
    const Hello mine = make_hello();
    write_all(stream, mine);
    Hello other;
    read_all(stream, other, deadline);
    // A stranger is told nothing.
    if (!is_same(mine, other, 0, version_at)) throw_refused(Answer{});
    Digest proof;
    read_all(stream, proof, deadline);
    Answer answer = compare(mine, other);
    if (answer == Answer::accepted && !equal_in_constant_time(proof, sign(key, client_proof, mine, other)))
        answer = Answer::wrong_key;
    Verdict verdict{};
    verdict[0] = static_cast<std::byte>(answer);
    if (answer != Answer::accepted) {
        write_all(stream, verdict);
        throw_refused(answer);
    }
    proof = sign(key, listener_proof, mine, other);
    std::copy(proof.begin(), proof.end(), verdict.begin() + (verdict_size - proof_size));
    write_all(stream, verdict);
    return {sign(key, listener_messages, mine, other), sign(key, client_messages, mine, other)};
}

SessionKeys shake_hands_as_client(ByteStream& stream, Bytes key, os::Deadline deadline) {
    const Hello mine = make_hello();
    Hello other;
    read_all(stream, other, deadline);
    if (!is_same(mine, other, 0, version_at)) throw_refused(Answer{});
    if (const Answer answer = compare(mine, other); answer != Answer::accepted) throw_refused(answer);
    write_all(stream, mine, sign(key, client_proof, other, mine));
    Verdict verdict;
    read_all(stream, verdict, deadline);
    if (const auto answer = static_cast<Answer>(verdict[0]); answer != Answer::accepted) throw_refused(answer);
    const Bytes proof = Bytes(verdict).subspan(verdict_size - proof_size);
    if (!equal_in_constant_time(proof, sign(key, listener_proof, other, mine))) throw_refused(Answer::wrong_key);
    return {sign(key, client_messages, other, mine), sign(key, listener_messages, other, mine)};
}

}  // namespace multiproc::network
