#include "byte_stream.hpp"

#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "sockets.hpp"

namespace multiproc::network {

namespace error = asio::error;

std::string to_string(const tcp::endpoint& endpoint) {
    const std::string address = endpoint.address().to_string();
    const std::string port = ":" + std::to_string(endpoint.port());
    return endpoint.address().is_v6() ? "[" + address + "]" + port : address + port;
}

ByteStream::ByteStream() : io_(make_io<Io>()), owner_(this_process()) {}

ByteStream::Io::~Io() { close_socket(); }

void ByteStream::Io::close_socket() noexcept {
    if (!socket.is_open()) return;
    ErrorCode ignored;
    forget_socket(socket.native_handle());
    socket.close(ignored);
}

class ByteStream::Use {
public:
    explicit Use(const ByteStream& stream) : io_(*stream.io_) {
        stream.require_ours();
        const std::lock_guard guard(io_.loop.mutex);
        if (io_.is_closed) throw_closed();
        ++io_.users;
    }
    ~Use() {
        const std::lock_guard guard(io_.loop.mutex);
        if (--io_.users == 0 && io_.is_closed) io_.close_socket();
    }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

private:
    Io& io_;
};

ByteStream::~ByteStream() {
    // Asio would take the socket out of the epoll that the original looks at.
    if (owner_ != this_process()) static_cast<void>(io_.release());
}

void ByteStream::require_ours() const {
    if (owner_ != this_process())
        throw ClosedError("multiproc: this connection belongs to another process, of which this one is a copy");
}

void ByteStream::throw_closed() { throw ClosedError("multiproc: this RemoteConnection is closed"); }

void ByteStream::opened() {
    tcp::socket& socket = io_->socket;
    keep_from_children(socket.native_handle());
    watch_for_lost_peer(socket.native_handle());
    ErrorCode failure;
    // Messages are written in one piece, so there is nothing to wait for.
    socket.set_option(tcp::no_delay(true), failure);
    socket.non_blocking(true, failure);
    const tcp::endpoint peer = socket.remote_endpoint(failure);
    if (failure) throw NetworkError("multiproc: the connection ended at once: " + failure.message());
    peer_ = to_string(peer);
}

void ByteStream::connect(const tcp::endpoint& endpoint, os::Deadline deadline) {
    require_ours();
    ErrorCode failure;
    std::unique_lock lock(io_->loop.mutex);
    io_->socket.open(endpoint.protocol(), failure);
    if (!failure) {
        keep_from_children(io_->socket.native_handle());
        io_->is_connecting = true;
        io_->socket.async_connect(endpoint, [io = io_.get(), &failure](const ErrorCode& result) {
            const std::lock_guard guard(io->loop.mutex);
            failure = result;
            io->is_connecting = false;
            io->loop.changed();
        });
        const auto done = [this] { return !io_->is_connecting; };
        if (!io_->loop.wait(lock, deadline, done)) {
            io_->close_socket();
            io_->loop.wait(lock, os::never, done);  // `failure` must outlive the handler
            throw TimeoutError("multiproc: no connection to " + to_string(endpoint) + " in time");
        }
    }
    lock.unlock();
    // A system may connect a socket to itself, if nobody listens at a port that it then chooses for this end.
    if (!failure && io_->socket.local_endpoint(failure) == endpoint) failure = error::connection_refused;
    if (failure) throw NetworkError("multiproc: no connection to " + to_string(endpoint) + ": " + failure.message());
    opened();
}

std::optional<std::size_t> ByteStream::read_some(std::span<std::byte> target, os::Deadline deadline) {
    const Use use(*this);
    Io& io = *io_;
    for (;;) {
        ErrorCode failure;
        const std::size_t count = io.socket.read_some(asio::buffer(target.data(), target.size()), failure);
        if (!failure) return count;
        std::unique_lock lock(io.loop.mutex);
        if (io.is_closed) throw_closed();
        if (failure == error::interrupted) continue;
        if (failure != error::would_block && failure != error::try_again) {
            end_reason_ = failure == error::eof ? std::string("the other side has closed it") : failure.message();
            return 0;
        }
        if (!io.is_read_pending) {
            io.socket.async_wait(tcp::socket::wait_read, [&io](const ErrorCode&) {
                const std::lock_guard guard(io.loop.mutex);
                io.is_read_pending = false;
                io.loop.changed();
            });
            io.is_read_pending = true;  // if that threw, there is none; the handler waits for the mutex
        }
        if (!io.loop.wait(lock, deadline, [&io] { return !io.is_read_pending || io.is_closed; })) return std::nullopt;
    }
}

void ByteStream::write(std::span<const std::byte> first, std::span<const std::byte> second,
                       std::span<const std::byte> third) {
    const Use use(*this);
    Io& io = *io_;
    std::array<asio::const_buffer, 3> pieces{asio::buffer(first.data(), first.size()),
                                             asio::buffer(second.data(), second.size()),
                                             asio::buffer(third.data(), third.size())};
    std::size_t left = first.size() + second.size() + third.size();
    const auto took = [&](std::size_t count) {
        left -= count;
        for (asio::const_buffer& piece : pieces) {
            const std::size_t here = (std::min)(count, piece.size());
            piece += here;
            count -= here;
        }
    };
    while (left != 0) {
        ErrorCode failure;
        took(io.socket.write_some(pieces, failure));
        if (!failure) continue;
        std::unique_lock lock(io.loop.mutex);
        if (io.is_closed) throw_closed();
        if (failure == error::interrupted) continue;
        if (failure == error::would_block || failure == error::try_again) {
            std::size_t written = 0;
            io.socket.async_write_some(pieces, [&](const ErrorCode& result, std::size_t count) {
                const std::lock_guard guard(io.loop.mutex);
                failure = result;
                written = count;
                io.is_write_pending = false;
                io.loop.changed();
            });
            io.is_write_pending = true;
            // Not shorter when it is closed, which ends the operation: until then the system may read the pieces.
            io.loop.wait(lock, os::never, [&io] { return !io.is_write_pending; });
            took(written);
            if (io.is_closed) throw_closed();
        }
        if (failure)
            throw ClosedError("multiproc: the other side of this RemoteConnection has gone: " + failure.message());
    }
}

void ByteStream::end_writing() noexcept {
    if (owner_ != this_process()) return;
    const std::lock_guard guard(io_->loop.mutex);
    ErrorCode ignored;
    if (!io_->is_closed) io_->socket.shutdown(tcp::socket::shutdown_send, ignored);
}

void ByteStream::close() noexcept {
    if (owner_ != this_process()) return;
    Io& io = *io_;
    const std::lock_guard guard(io.loop.mutex);
    if (io.is_closed) return;
    io.is_closed = true;
    try {
        ErrorCode ignored;
        io.socket.shutdown(tcp::socket::shutdown_both, ignored);
        io.socket.cancel(ignored);
        if (io.users == 0) io.close_socket();
        io.loop.changed_outside();
    } catch (const std::bad_alloc&) {
        // Without memory for a post, shutting down has woken them nevertheless.
    }
}

bool ByteStream::is_closed() const noexcept {
    if (owner_ != this_process()) return true;
    const std::lock_guard guard(io_->loop.mutex);
    return io_->is_closed;
}

}  // namespace multiproc::network
