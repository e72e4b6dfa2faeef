// A connection within this process: one end for the library, the other for the case at hand.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>

#include "network/byte_stream.hpp"
#include "target.hpp"

namespace multiproc::fuzz {

class SocketPair {
public:
    SocketPair() : stream_(std::make_shared<network::ByteStream>()) {
        require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_.data()) == 0, "there are sockets");
        network::ErrorCode failure;
        stream_->socket().assign(network::tcp::v4(), ends_[0], failure);
        stream_->socket().non_blocking(true, failure);
        require(!failure, "Asio takes the socket");
    }
    ~SocketPair() { ::close(ends_[1]); }
    SocketPair(const SocketPair&) = delete;
    SocketPair& operator=(const SocketPair&) = delete;

    const std::shared_ptr<network::ByteStream>& library() const noexcept { return stream_; }

    // So little that it has room; or nobody reads any more.
    void send(Bytes bytes) const noexcept { (void)!::send(ends_[1], bytes.data(), bytes.size(), MSG_NOSIGNAL); }
    void end_writing() const noexcept { ::shutdown(ends_[1], SHUT_WR); }
    // As much as comes before the end.
    ByteVector receive(std::size_t count) const {
        ByteVector bytes(count);
        const ssize_t got = count == 0 ? 0 : ::recv(ends_[1], bytes.data(), count, MSG_WAITALL);
        bytes.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
        return bytes;
    }

private:
    std::array<int, 2> ends_{-1, -1};
    std::shared_ptr<network::ByteStream> stream_;
};

}  // namespace multiproc::fuzz
