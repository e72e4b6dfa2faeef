#include "acceptor.hpp"

#include <algorithm>
#include <new>
#include <stdexcept>
#include <utility>

#include "deadline.hpp"
#include "handshake.hpp"
#include "sockets.hpp"

namespace multiproc::network {

std::vector<tcp::endpoint> resolve(const std::string& address, std::uint16_t port) {
    ErrorCode failure;
    const asio::ip::address number = asio::ip::make_address(address, failure);
    if (!failure) return {tcp::endpoint(number, port)};
    asio::io_context context;
    tcp::resolver resolver(context);
    std::vector<tcp::endpoint> endpoints;
    for (const auto& entry : resolver.resolve(address, std::to_string(port), failure))
        endpoints.push_back(entry.endpoint());
    if (failure || endpoints.empty())
        throw NetworkError("multiproc: there is no address called \"" + address + "\": " + failure.message());
    return endpoints;
}

Acceptor::Acceptor(ListenerOptions options) : options_(std::move(options)), io_(make_io<Io>()), owner_(this_process()) {
    if (options_.key.bytes().empty()) throw std::invalid_argument("multiproc: Listener: the key is empty");
    if (options_.address.empty()) throw std::invalid_argument("multiproc: Listener: the address is empty");
    if (options_.max_handshakes == 0)
        throw std::invalid_argument("multiproc: Listener: .max_handshakes is 0, so nobody could ever connect");
    const tcp::endpoint wanted = resolve(options_.address, options_.port).front();
    tcp::acceptor& acceptor = io_->acceptor;
    ErrorCode failure;
    acceptor.open(wanted.protocol(), failure);
    if (!failure) {
        keep_from_children(acceptor.native_handle());
        claim_address(acceptor.native_handle());
        // The same on every system: "::" is for IPv6 alone.
        if (wanted.address().is_v6()) acceptor.set_option(asio::ip::v6_only(true), failure);
    }
    if (!failure) acceptor.bind(wanted, failure);
    if (!failure) acceptor.listen(tcp::acceptor::max_listen_connections, failure);
    if (!failure) endpoint_ = acceptor.local_endpoint(failure);
    if (failure) throw NetworkError("multiproc: cannot listen at " + to_string(wanted) + ": " + failure.message());
}

Acceptor::Io::~Io() {
    if (acceptor.is_open()) forget_socket(acceptor.native_handle());
}

Acceptor::~Acceptor() {
    if (owner_ != this_process()) {
        static_cast<void>(io_.release());
        return;
    }
    close();
    for (Handshake& handshake : io_->handshakes) handshake.thread.join();
}

void Acceptor::require_ours() const {
    if (owner_ != this_process())
        throw ClosedError("multiproc: this Listener belongs to another process, of which this one is a copy");
}

std::shared_ptr<MessageStream> Acceptor::accept(os::Deadline deadline) {
    require_ours();
    Io& io = *io_;
    for (;;) {
        std::unique_lock lock(io.loop.mutex);
        const auto is_over = [&] { return io.is_closed || io.failure || finished() != io.handshakes.end(); };
        if (!io.next && !io.is_closed) accept_next();
        const bool is_in_time = io.loop.wait(lock, deadline, is_over);
        if (io.is_closed) throw ClosedError("multiproc: this Listener is closed");
        if (!is_in_time) return nullptr;
        if (io.failure)
            throw NetworkError("multiproc: no connection can be accepted: " +
                               std::exchange(io.failure, ErrorCode()).message());
        Handshakes one;
        one.splice(one.begin(), io.handshakes, finished());
        lock.unlock();
        Handshake& handshake = one.front();
        handshake.thread.join();
        if (handshake.result) return std::move(handshake.result);
        if (options_.on_refused) options_.on_refused({handshake.stream->peer(), handshake.error});
    }
}

Acceptor::Handshakes::iterator Acceptor::finished() noexcept {
    return std::find_if(io_->handshakes.begin(), io_->handshakes.end(),
                        [](const Handshake& handshake) { return handshake.is_finished(); });
}

void Acceptor::accept_next() {
    try {
        io_->next = std::make_shared<ByteStream>();
    } catch (const NetworkError&) {
        io_->failure = asio::error::no_descriptors;
        return;
    } catch (const std::bad_alloc&) {
        io_->failure = asio::error::no_memory;
        return;
    }
    try {
        io_->acceptor.async_accept(io_->next->socket(), [this](const ErrorCode& result) {
            const std::lock_guard guard(io_->loop.mutex);
            accepted(result);
            io_->loop.changed();
        });
    } catch (const std::bad_alloc&) {
        io_->next.reset();  // so that the next call tries again
        io_->failure = asio::error::no_memory;
    }
}

void Acceptor::accepted(const ErrorCode& result) {
    std::shared_ptr<ByteStream> stream = std::exchange(io_->next, nullptr);
    if (io_->is_closed) return;
    if (!result) {
        begin_handshake(std::move(stream));
    } else if (result != asio::error::connection_aborted) {  // which left before we came to it
        io_->failure = result;
        return;
    }
    accept_next();
}

void Acceptor::begin_handshake(std::shared_ptr<ByteStream> stream) {
    try {
        stream->opened();
    } catch (const NetworkError&) {
        return;  // it has left
    }
    const auto is_under_way = [](const Handshake& other) { return !other.is_finished() && !other.is_given_up; };
    Handshakes& all = io_->handshakes;
    if (static_cast<std::size_t>(std::count_if(all.begin(), all.end(), is_under_way)) >= options_.max_handshakes) {
        // The oldest is the least likely to be a peer that has the key: those are through in no time.
        Handshake& oldest = *std::find_if(all.begin(), all.end(), is_under_way);
        oldest.is_given_up = true;
        oldest.stream->close();
    }
    Handshake& handshake = all.emplace_back();
    handshake.stream = std::move(stream);
    try {
        handshake.thread = start_thread([this, &handshake] { shake_hands(handshake); });
    } catch (const std::exception&) {
        all.pop_back();  // there are no more threads, or no memory for one, so this peer is dropped
    }
}

// In the handshake's own thread.
void Acceptor::shake_hands(Handshake& handshake) {
    std::shared_ptr<MessageStream> result;
    std::exception_ptr error;
    try {
        const os::Deadline deadline = deadline_after(options_.handshake_timeout);
        const SessionKeys keys = shake_hands_as_listener(*handshake.stream, options_.key.bytes(), deadline);
        result = std::make_shared<MessageStream>(handshake.stream, keys, options_.max_message);
    } catch (...) {
        error = std::current_exception();
        handshake.stream->close();
    }
    const std::lock_guard guard(io_->loop.mutex);
    if (error && handshake.is_given_up)
        error = std::make_exception_ptr(
            TimeoutError("multiproc: the handshake was given up, because too many others came meanwhile"));
    handshake.result = std::move(result);
    handshake.error = std::move(error);
    io_->loop.changed_outside();
}

void Acceptor::close() noexcept {
    if (owner_ != this_process()) return;
    const std::lock_guard guard(io_->loop.mutex);
    if (io_->is_closed) return;
    io_->is_closed = true;
    ErrorCode ignored;
    forget_socket(io_->acceptor.native_handle());
    io_->acceptor.close(ignored);
    for (Handshake& handshake : io_->handshakes) handshake.stream->close();
    try {
        io_->loop.changed_outside();
    } catch (const std::bad_alloc&) {
        // Closing the acceptor has woken who runs the loop nevertheless, if it had an operation.
    }
}

bool Acceptor::is_closed() const noexcept {
    if (owner_ != this_process()) return true;
    const std::lock_guard guard(io_->loop.mutex);
    return io_->is_closed;
}

}  // namespace multiproc::network
