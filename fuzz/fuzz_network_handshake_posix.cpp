// The handshake between machines: nobody is accepted who does not have the key.
//
// The first byte chooses the side that the library plays, and who is at the other. A stranger sends the bytes as they
// are. Somebody who stands between two honest sides changes what the other one sends: the bytes are a mask, and the
// handshake succeeds if it changes nothing.
#include <algorithm>
#include <future>
#include <optional>
#include <string_view>

#include <multiproc/errors.hpp>
#include <multiproc/network_errors.hpp>

#include "network/handshake.hpp"
#include "socket_pair_posix.hpp"
#include "target.hpp"

namespace {

using namespace multiproc::fuzz;
namespace net = multiproc::network;

enum class Side : unsigned char { listener, client };

const std::string key = "a key that the other side has as well";

// What the protocol says, written down a second time.
net::Digest sign(std::string_view purpose, Bytes listener, Bytes client) {
    net::HmacSha256 hmac(bytes_of(key));
    hmac.update(std::as_bytes(std::span(purpose)));
    hmac.update(listener);
    hmac.update(client);
    return hmac.finish();
}

void shake(const SocketPair& sockets, Side side, std::optional<net::SessionKeys>& keys) {
    try {
        keys = side == Side::listener
                   ? net::shake_hands_as_listener(*sockets.library(), bytes_of(key), multiproc::os::never)
                   : net::shake_hands_as_client(*sockets.library(), bytes_of(key), multiproc::os::never);
    } catch (const multiproc::AuthenticationError&) {  // the errors that are promised, and no others
    } catch (const multiproc::ProtocolError&) {
    } catch (const multiproc::NetworkError&) {}
    sockets.library()->close();
}

void meet_stranger(Side side, Bytes bytes) {
    const SocketPair sockets;
    sockets.send(bytes);
    sockets.end_writing();
    std::optional<net::SessionKeys> keys;
    shake(sockets, side, keys);
    require(!keys, "who does not have the key is not accepted");
    const std::size_t told = sockets.receive(4096).size();
    // A stranger learns that it is none, and no proof: of a listener's answer that is the last part.
    require(told <= (side == Side::listener ? net::hello_size + net::verdict_size : net::hello_size + net::proof_size),
            "a stranger is told little");
}

// An honest side's messages, changed on their way by the bytes of the case.
class Middle {
public:
    Middle(const SocketPair& sockets, Bytes mask) : sockets_(sockets), mask_(mask) {}
    void send(ByteVector bytes) {
        const Bytes mask = mask_.first(std::min(mask_.size(), bytes.size()));
        mask_ = mask_.subspan(mask.size());
        for (std::size_t i = 0; i < mask.size(); ++i) bytes[i] ^= mask[i];
        sockets_.send(bytes);
    }

private:
    const SocketPair& sockets_;
    Bytes mask_;
};

// The first bytes of a hello that are the same on all machines like this one; then come random ones.
ByteVector hello_like(const ByteVector& other) {
    ByteVector hello = other;
    for (std::size_t i = net::hello_size / 2; i < hello.size(); ++i) hello[i] = ~hello[i];
    return hello;
}

void meet_client(Bytes mask) {
    const SocketPair sockets;
    std::optional<net::SessionKeys> keys;
    auto listening = std::async(std::launch::async, [&] { shake(sockets, Side::listener, keys); });
    const ByteVector listener = sockets.receive(net::hello_size);
    const ByteVector client = hello_like(listener);
    Middle(sockets, mask).send(joined(client, sign("multiproc 1: proof of the client", listener, client)));
    sockets.end_writing();
    const ByteVector verdict = sockets.receive(net::verdict_size);
    listening.get();
    const Bytes counts = mask.first(std::min(mask.size(), net::hello_size + net::proof_size));
    const bool is_changed = std::ranges::any_of(counts, [](std::byte byte) { return byte != std::byte{}; });
    require(keys.has_value() != is_changed, "a client is accepted if it has the key and nobody changed what it said");
    const net::Digest proof = sign("multiproc 1: proof of the listener", listener, client);
    const bool is_proven = verdict.size() == net::verdict_size && std::ranges::equal(proof, Bytes(verdict).last(32));
    require(is_proven == keys.has_value(), "the listener proves its key to whom it accepts, and to nobody else");
    if (!keys) return;
    require(keys->to_send == sign("multiproc 1: messages of the listener", listener, client) &&
                keys->to_receive == sign("multiproc 1: messages of the client", listener, client),
            "both sides have the same keys for their messages");
}

void meet_listener(Bytes mask) {
    const SocketPair sockets;
    std::optional<net::SessionKeys> keys;
    ByteVector listener(net::hello_size);
    // What a hello says of this machine, from one that the library makes.
    {
        const SocketPair other;
        std::optional<net::SessionKeys> none;
        other.end_writing();
        shake(other, Side::listener, none);
        listener = hello_like(other.receive(net::hello_size));
    }
    Middle middle(sockets, mask);
    middle.send(listener);
    auto connecting = std::async(std::launch::async, [&] { shake(sockets, Side::client, keys); });
    const ByteVector answer = sockets.receive(net::hello_size + net::proof_size);
    const Bytes client = Bytes(answer).first(std::min(answer.size(), net::hello_size));
    ByteVector verdict(net::verdict_size);
    verdict[0] = std::byte{1};
    std::ranges::copy(sign("multiproc 1: proof of the listener", listener, client), verdict.end() - net::proof_size);
    middle.send(verdict);
    sockets.end_writing();
    connecting.get();
    bool is_changed = false;
    for (std::size_t i = 0; i < std::min(mask.size(), net::hello_size + net::verdict_size); ++i) {
        const bool is_unused = i > net::hello_size && i < net::hello_size + 8;  // of the verdict
        if (mask[i] != std::byte{} && !is_unused) is_changed = true;
    }
    require(keys.has_value() != is_changed, "a listener is accepted if it has the key and nobody changed what it said");
}

void run(Bytes bytes) {
    Cursor cursor(bytes);
    const auto choice = cursor.take<unsigned char>();
    switch (choice % 4) {
        case 0: return meet_stranger(Side::listener, cursor.rest());
        case 1: return meet_stranger(Side::client, cursor.rest());
        case 2: return meet_client(cursor.rest());
        default: return meet_listener(cursor.rest());
    }
}

Seeds seeds() {
    const auto hello = [] {
        const SocketPair sockets;
        std::optional<net::SessionKeys> none;
        sockets.end_writing();
        shake(sockets, Side::listener, none);
        return sockets.receive(net::hello_size);
    }();
    const auto seed = [](const char* name, unsigned char choice, const ByteVector& bytes) {
        return Seed{name, joined(raw(choice), bytes)};
    };
    ByteVector one_bit(net::hello_size + net::proof_size);
    one_bit[70] = std::byte{1};
    ByteVector verdict(net::verdict_size);
    verdict[0] = std::byte{1};
    return {seed("strange_client", 0, joined(hello, net::Digest{})),
            seed("strange_listener", 1, joined(hello, verdict)),
            seed("honest_client", 2, {}),
            seed("changed_client", 2, one_bit),
            seed("honest_listener", 3, {}),
            seed("changed_listener", 3, one_bit)};
}

const Target target("network_handshake", &run, &seeds);

}  // namespace
