// The messages of a connection after its handshake: what is received is what was sent, in its order, or the connection
// ends with an error.
//
// The first byte says whether the bytes come from somebody without the keys, as they are; or are the contents of signed
// messages, and then the next three say where one of the bytes on the wire is changed, and how: each message begins with
// a byte that says how long it is.
#include <memory>

#include <multiproc/errors.hpp>
#include <multiproc/network_errors.hpp>

#include "network/message_stream.hpp"
#include "network/wire.hpp"
#include "socket_pair_posix.hpp"
#include "target.hpp"

namespace {

using namespace multiproc::fuzz;
namespace net = multiproc::network;

constexpr std::size_t longest = std::size_t{1} << 20;

net::SessionKeys keys() {
    net::SessionKeys keys{};
    keys.to_send.fill(std::byte{1});
    keys.to_receive.fill(std::byte{2});
    return keys;
}

// What the protocol says, written down a second time.
ByteVector frame(std::uint64_t number, Bytes message) {
    std::array<std::byte, 8> count{}, length{};
    net::put_number(count, number);
    net::put_number(length, message.size());
    net::HmacSha256 hmac(keys().to_receive);
    hmac.update(count);
    hmac.update(length);
    hmac.update(message);
    return joined(length, message, hmac.finish());
}

// All that arrives before the end.
std::vector<ByteVector> receive_all(const SocketPair& sockets) {
    std::vector<ByteVector> messages;
    net::MessageStream stream(sockets.library(), keys(), longest);
    const auto receive = [&] {
        try {
            auto message = stream.receive(multiproc::os::never);
            require(message.has_value(), "without a deadline there is a message or the end");
            messages.push_back(*std::move(message));
            return true;
        } catch (const multiproc::EndOfFile&) {
        } catch (const multiproc::IncompleteMessage&) {
        } catch (const multiproc::ProtocolError&) {}
        return false;
    };
    while (receive()) {}
    require(!stream.is_closed(), "only its owner closes a connection");
    require(!receive(), "after its end a connection is at its end");
    return messages;
}

void run(Bytes bytes) {
    Cursor cursor(bytes);
    const SocketPair sockets;
    if (cursor.take<unsigned char>() % 2 == 0) {
        sockets.send(cursor.rest());
        sockets.end_writing();
        require(receive_all(sockets).empty(), "what was not signed is not received");
        return;
    }
    const auto place = cursor.take<std::uint16_t>();
    const auto change = cursor.take<std::byte>();
    std::vector<ByteVector> sent;
    ByteVector wire;
    while (!cursor.rest().empty()) {
        const Bytes message = cursor.take_bytes(cursor.take<unsigned char>());
        wire = joined(wire, frame(sent.size(), message));
        sent.emplace_back(message.begin(), message.end());
    }
    const bool is_changed = place < wire.size() && change != std::byte{};
    if (is_changed) wire[place] ^= change;
    sockets.send(wire);
    sockets.end_writing();
    const std::vector<ByteVector> received = receive_all(sockets);
    require(received.size() <= sent.size() && std::equal(received.begin(), received.end(), sent.begin()),
            "what is received was sent, in this order");
    require((received.size() == sent.size()) != is_changed, "a change is noticed, and nothing else stops messages");
}

Seeds seeds() {
    const auto seed = [](const char* name, unsigned char choice, const auto&... rest) {
        return Seed{name, joined(raw(choice), rest...)};
    };
    const std::string messages("\3one\0\5three", 11);
    const std::string nowhere("\xff\xff\0", 3), in_length("\4\0\1", 3), in_signature("\x0c\0\x80", 3);
    return {seed("unsigned", 0, frame(1, bytes_of("text"))), seed("huge", 0, std::string(40, '\xff')),
            seed("honest", 1, nowhere, messages), seed("changed_length", 1, in_length, messages),
            seed("changed_signature", 1, in_signature, messages)};
}

const Target target("network_messages", &run, &seeds);

}  // namespace
