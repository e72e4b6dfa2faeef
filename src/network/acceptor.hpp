// What a Listener is made of: it accepts connections, and has each peer prove its key in a thread of its own, so that a
// peer that says nothing holds up nobody. The threads live for the handshake only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include <multiproc/network.hpp>

#include "asio.hpp"
#include "byte_stream.hpp"
#include "event_loop.hpp"
#include "message_stream.hpp"

namespace multiproc::network {

// Thread-safe.
class Acceptor {
public:
    explicit Acceptor(ListenerOptions options);
    ~Acceptor();
    Acceptor(const Acceptor&) = delete;
    Acceptor& operator=(const Acceptor&) = delete;

    // See Listener. Nothing at the deadline.
    std::shared_ptr<MessageStream> accept(os::Deadline deadline);
    void close() noexcept;
    bool is_closed() const noexcept;
    const tcp::endpoint& endpoint() const noexcept { return endpoint_; }

private:
    struct Handshake {
        std::shared_ptr<ByteStream> stream;
        std::thread thread;
        bool is_given_up = false;
        // When it is finished, one of these:
        std::shared_ptr<MessageStream> result;
        std::exception_ptr error;

        bool is_finished() const noexcept { return result || error; }
    };
    using Handshakes = std::list<Handshake>;

    // As of ByteStream.
    struct Io {
        Io() : acceptor(loop.context()) {}
        ~Io();
        Io(const Io&) = delete;
        Io& operator=(const Io&) = delete;

        EventLoop loop;
        std::shared_ptr<ByteStream> next;  // the connection that is being accepted
        tcp::acceptor acceptor;
        bool is_closed = false;
        ErrorCode failure;
        Handshakes handshakes;
    };

    void require_ours() const;
    // With the mutex:
    void accept_next();
    void accepted(const ErrorCode& result);
    void begin_handshake(std::shared_ptr<ByteStream> stream);
    void shake_hands(Handshake& handshake);
    Handshakes::iterator finished() noexcept;

    const ListenerOptions options_;
    std::unique_ptr<Io> io_;
    std::uint32_t owner_;
    tcp::endpoint endpoint_;
};

// The addresses that a name or number stands for. Throws NetworkError.
std::vector<tcp::endpoint> resolve(const std::string& address, std::uint16_t port);

}  // namespace multiproc::network
