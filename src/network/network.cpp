// The public interface, on top of streams of messages.
#include <multiproc/network.hpp>

#include <algorithm>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <utility>

#include <multiproc/interrupt.hpp>

#include "acceptor.hpp"
#include "deadline.hpp"
#include "handshake.hpp"
#include "message_stream.hpp"

namespace multiproc {

using network::ByteStream;
using network::MessageStream;

namespace {

// How often a wait looks whether it is interrupted, if it can be.
constexpr auto look_interval = std::chrono::milliseconds(50);

// `wait`s until there is something, at most until the deadline. Throws Interrupted.
template <class Wait>
auto until_interrupted(const std::optional<Timeout>& timeout, Wait wait) {
    const os::Deadline deadline = deadline_or_never(timeout);
    for (;;) {
        const os::Deadline end =
            InterruptScope::is_active() ? std::min<os::Deadline>(deadline, os::Clock::now() + look_interval) : deadline;
        auto found = wait(end);
        if (found || end == deadline) return found;
        InterruptScope::check();
    }
}

std::shared_ptr<ByteStream> connect_bytes(const ConnectOptions& options, os::Deadline deadline) {
    const std::vector<network::tcp::endpoint> endpoints = network::resolve(options.address, options.port);
    for (std::size_t i = 0;; ++i) {
        try {
            auto stream = std::make_shared<ByteStream>();
            stream->connect(endpoints[i], deadline);
            return stream;
        } catch (const NetworkError&) {
            if (i + 1 == endpoints.size()) throw;  // a name may have addresses of which one answers
        }
    }
}

}  // namespace

namespace detail {

RemoteEnd::RemoteEnd(std::shared_ptr<MessageStream> stream) noexcept : stream_(std::move(stream)) {}

RemoteEnd RemoteEnd::connect(const ConnectOptions& options) {
    if (options.key.bytes().empty()) throw std::invalid_argument("multiproc: connect: the key is empty");
    if (options.address.empty()) throw std::invalid_argument("multiproc: connect: the address is empty");
    if (options.port == 0) throw std::invalid_argument("multiproc: connect: the port is missing");
    const os::Deadline deadline = deadline_after(options.timeout);
    std::shared_ptr<ByteStream> bytes = connect_bytes(options, deadline);
    const network::SessionKeys keys = shake_hands_as_client(*bytes, options.key.bytes(), deadline);
    return RemoteEnd(std::make_shared<MessageStream>(std::move(bytes), keys, options.max_message));
}

MessageStream& RemoteEnd::stream() const {
    if (!stream_) throw ClosedError("multiproc: this RemoteConnection was moved from");
    return *stream_;
}

void RemoteEnd::send(const OutputBuffer& message) const {
    if (!message.attachments().empty())
        throw CodecError(
            "multiproc: what refers to memory of this machine (queues, locks, connections, values and arrays in shared "
            "memory) cannot be sent to another; send the data themselves");
    stream().send(message.bytes());
}

std::optional<std::vector<std::byte>> RemoteEnd::receive(std::optional<Timeout> timeout) const {
    return until_interrupted(timeout, [&](os::Deadline end) { return stream().receive(end); });
}

bool RemoteEnd::poll(std::optional<Timeout> timeout) const {
    return until_interrupted(timeout, [&](os::Deadline end) { return stream().await_message(end); });
}

void RemoteEnd::close() const noexcept {
    if (stream_) stream_->close();
}
bool RemoteEnd::is_closed() const noexcept { return !stream_ || stream_->is_closed(); }
std::string RemoteEnd::peer() const { return stream().peer(); }

}  // namespace detail

Listener::Listener(ListenerOptions options) : acceptor_(std::make_unique<network::Acceptor>(std::move(options))) {}
Listener::Listener(Listener&&) noexcept = default;
Listener& Listener::operator=(Listener&&) noexcept = default;
Listener::~Listener() = default;

network::Acceptor& Listener::acceptor() const {
    if (!acceptor_) throw ClosedError("multiproc: this Listener was moved from");
    return *acceptor_;
}

std::string Listener::address() const { return acceptor().endpoint().address().to_string(); }
std::uint16_t Listener::port() const { return acceptor().endpoint().port(); }

detail::RemoteEnd Listener::accept_end(std::optional<Timeout> timeout) const {
    std::shared_ptr<MessageStream> stream =
        until_interrupted(timeout, [&](os::Deadline end) { return acceptor().accept(end); });
    if (!stream) throw TimeoutError("multiproc: nobody has connected in time");
    return detail::RemoteEnd(std::move(stream));
}

void Listener::close() const noexcept {
    if (acceptor_) acceptor_->close();
}
bool Listener::closed() const noexcept { return !acceptor_ || acceptor_->is_closed(); }

}  // namespace multiproc
