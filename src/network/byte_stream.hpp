// A TCP connection as a stream of bytes, for one thread that reads and one that writes, with deadlines, and with a
// `close` for any thread that ends what they wait for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include <multiproc/network_errors.hpp>

#include "asio.hpp"
#include "event_loop.hpp"
#include "os.hpp"

namespace multiproc::network {

// Makes what holds a context of Asio's. Throws NetworkError if the system has no descriptors for it.
template <class Io>
std::unique_ptr<Io> make_io() {
    try {
        return std::make_unique<Io>();
    } catch (const boost::system::system_error& error) {
        throw NetworkError(std::string("multiproc: no socket can be made: ") + error.what());
    }
}

// Reading, writing and connecting throw ClosedError after `close`, and in a copy of the process made by fork, where the
// connection stays untouched.
class ByteStream {
public:
    ByteStream();
    ~ByteStream();
    ByteStream(const ByteStream&) = delete;
    ByteStream& operator=(const ByteStream&) = delete;

    // To accept a connection into; `opened` is called when that is done.
    tcp::socket& socket() noexcept { return io_->socket; }
    void opened();
    // Throws TimeoutError, NetworkError.
    void connect(const tcp::endpoint& endpoint, os::Deadline deadline);

    // Reads something, at least one byte, into `target`: how much. Zero is the end of the stream, `end_reason` says
    // which. Nothing at the deadline.
    std::optional<std::size_t> read_some(std::span<std::byte> target, os::Deadline deadline);
    // Why the stream has ended: because the peer has closed it, or by an error.
    const std::string& end_reason() const noexcept { return end_reason_; }

    // Writes all of both pieces; waits until that is done. Throws ClosedError if the peer has gone.
    void write(std::span<const std::byte> first, std::span<const std::byte> second = {},
               std::span<const std::byte> third = {});

    // Nothing more will be written. What has come can still be read.
    void end_writing() noexcept;
    // The peer learns of it at once. The socket goes when the last thread has left reading and writing, so that none
    // comes to use another of its number.
    void close() noexcept;
    bool is_closed() const noexcept;
    const std::string& peer() const noexcept { return peer_; }
    // Throws ClosedError in a copy of the process.
    void require_ours() const;

private:
    // What a copy of the process must not touch: destroying it there would change what it shares with the original.
    struct Io {
        Io() : socket(loop.context()) {}
        ~Io();
        void close_socket() noexcept;
        Io(const Io&) = delete;
        Io& operator=(const Io&) = delete;

        EventLoop loop;
        tcp::socket socket;
        bool is_closed = false;
        int users = 0;  // threads that read or write
        bool is_connecting = false;
        bool is_read_pending = false;  // a wait for something to read was begun, maybe by an earlier read_some
        bool is_write_pending = false;
    };

    // A thread that reads or writes.
    class Use;

    [[noreturn]] static void throw_closed();

    std::unique_ptr<Io> io_;
    std::uint32_t owner_;
    std::string peer_;
    std::string end_reason_;
};

std::string to_string(const tcp::endpoint& endpoint);

}  // namespace multiproc::network
