// A peer that sends whatever a test wants, and one that stands between a listener and a client.
#pragma once

#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <multiproc/network.hpp>

#include "network/asio.hpp"

#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

namespace multiproc::test {

using ByteVector = std::vector<std::byte>;
using network::ErrorCode;
using network::tcp;

inline tcp::endpoint loopback(std::uint16_t port) { return {network::asio::ip::address_v4::loopback(), port}; }

class RawSocket {
public:
    explicit RawSocket(std::uint16_t port) : RawSocket() { socket_->connect(loopback(port)); }
    explicit RawSocket(tcp::acceptor& acceptor) : RawSocket() { acceptor.accept(*socket_); }

    void send(std::span<const std::byte> bytes) { network::asio::write(*socket_, buffer(bytes)); }
    // Sends as much as the other side lets it.
    void try_send(std::span<const std::byte> bytes) {
        ErrorCode ignored;
        network::asio::write(*socket_, buffer(bytes), ignored);
    }
    // So many bytes, or as many as come before the end.
    ByteVector read(std::size_t count) {
        ByteVector bytes(count);
        ErrorCode ignored;
        bytes.resize(network::asio::read(*socket_, network::asio::buffer(bytes), ignored));
        return bytes;
    }
    // What comes up to the end.
    ByteVector read_to_end() { return read(std::size_t{1} << 20); }
    void close() { socket_.reset(); }

private:
    RawSocket() : context_(std::make_unique<network::asio::io_context>()) {
        socket_ = std::make_unique<tcp::socket>(*context_);
    }
    static network::asio::const_buffer buffer(std::span<const std::byte> bytes) {
        return network::asio::buffer(bytes.data(), bytes.size());
    }

    std::unique_ptr<network::asio::io_context> context_;
    std::unique_ptr<tcp::socket> socket_;
};

// A port of this machine at which a test itself answers.
class RawListener {
public:
    RawListener() : acceptor_(context_, loopback(0)) {}
    std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
    RawSocket accept() { return RawSocket(acceptor_); }

private:
    network::asio::io_context context_;
    tcp::acceptor acceptor_;
};

// Passes a handshake on, and then nothing but what the test passes on. `here` is the listener's end.
template <class T>
struct Middle {
    Middle(const Listener& listener, const AuthKey& key) : Middle(listener, key, RawListener()) {}

    ByteVector listener_hello, client_hello, verdict;
    RawSocket to_client, to_listener;
    RemoteConnection<T, T> here, there;

private:
    // Braces, because what they hold is evaluated in its order.
    Middle(const Listener& listener, const AuthKey& key, RawListener&& raw)
        : Middle{std::async(std::launch::async, [&] { return listener.accept<T, T>(std::chrono::seconds(60)); }),
                 std::async(std::launch::async, [&] { return connect<T, T>({.port = raw.port(), .key = key}); }),
                 raw.accept(), RawSocket(listener.port())} {}
    Middle(std::future<RemoteConnection<T, T>> accepting, std::future<RemoteConnection<T, T>> connecting,
           RawSocket client, RawSocket own)
        : listener_hello(pass(own, client, 64)),
          client_hello(pass(client, own, 96)),
          verdict(pass(own, client, 40)),
          to_client(std::move(client)),
          to_listener(std::move(own)),
          here(accepting.get()),
          there(connecting.get()) {}

    static ByteVector pass(RawSocket& from, RawSocket& to, std::size_t count) {
        ByteVector bytes = from.read(count);
        to.send(bytes);
        return bytes;
    }
};

}  // namespace multiproc::test
