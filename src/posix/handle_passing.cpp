// A handle travels as SCM_RIGHTS over a stream of local sockets (message boundaries, SOCK_SEQPACKET, do not exist on
// macOS): eight bytes with the token, the descriptor attached to them. The kernel keeps what was sent by a process that
// is dead by now.
#include <sys/socket.h>

#include "die_here.hpp"
#include "messages.hpp"

namespace multiproc::os {

namespace {

using namespace posix;

// More messages than fit into a socket's buffer: a sender does not wait for room.
constexpr std::uint64_t most_on_their_way = 65'536;

class SocketLink final : public HandleLink {
public:
    SocketLink(Handle socket, bool connected) noexcept : socket_(std::move(socket)), connected_(connected) {}

    void connect(const Child&) override { connected_ = true; }

    std::uint64_t send(std::span<const RawHandle> handles) override {
        if (!connected_) fail("sending a handle to a child that is not started", ENOTCONN);
        const std::uint64_t token = last_sent_ + 1;
        std::vector<int> descriptors;
        for (const RawHandle handle : handles) descriptors.push_back(fd_of(handle));
        const int error = send_all(fd_of(socket_), &token, sizeof token, descriptors, MSG_DONTWAIT);
        // So many may be on their way for all processes of a user, as each of them may have open.
        if (error == ETOOMANYREFS) fail("sending a handle", EAGAIN);
        if (error != 0) fail("sending a handle", error);
        die_here(DeathPoint::handles_sent);
        last_sent_ = token;
        return token;
    }

    std::vector<Handle> receive(std::uint64_t token, std::size_t count) override {
        // Older ones were sent for a receiver that gave up before it asked. They are numbered one by one, and there are no
        // more than a socket holds: else a peer could keep this process here for ever by sending more and more.
        if (token <= last_received_ || token - last_received_ > most_on_their_way)
            fail("the peer sent no such handle", EBADMSG);
        for (;;) {
            std::uint64_t arrived = 0;
            // The kernel never joins the bytes of two messages with descriptors, and a message is too small to be sent
            // in parts. So anything else than eight bytes with descriptors is a peer that does not keep to this.
            Received message = receive_some(fd_of(socket_), &arrived, sizeof arrived, MSG_DONTWAIT);
            const bool is_next = message.size == sizeof arrived && arrived == last_received_ + 1;
            if (is_next) last_received_ = arrived;  // also if it is not taken in: it is read
            if (message.error == EMFILE) fail("receiving a handle", EMFILE);
            if (message.error != 0 || !is_next || (arrived == token && message.descriptors.size() != count))
                fail("the peer sent no such handle", EBADMSG);
            die_here(DeathPoint::handles_received);
            if (arrived == token) return std::move(message.descriptors);
        }
    }

private:
    Handle socket_;
    bool connected_;
    std::uint64_t last_sent_ = 0;
    std::uint64_t last_received_ = 0;
};

}  // namespace

std::pair<std::unique_ptr<HandleLink>, Handle> HandleLink::create(Peer) {
    auto [ours, childs] = make_socket_pair(SOCK_STREAM);
    return {std::make_unique<SocketLink>(std::move(ours), false), std::move(childs)};
}

std::unique_ptr<HandleLink> HandleLink::adopt(Handle child_end) {
    return std::make_unique<SocketLink>(std::move(child_end), true);
}

}  // namespace multiproc::os
