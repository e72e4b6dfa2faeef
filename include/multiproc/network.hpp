/// @file
/// Connections between machines, or between programs on one machine, over TCP with a key.
///
/// ```cpp
/// const multiproc::AuthKey key = multiproc::AuthKey::from_hex(secret);  // both sides have it, once AuthKey::random()
///
/// multiproc::Listener listener({.key = key});                              // on this machine only, at any free port
/// multiproc::RemoteConnection<std::string, int> peer = listener.accept<std::string, int>();
/// peer.send(static_cast<int>(peer.recv().size()));                         // gets strings, sends numbers
///
/// auto c = multiproc::connect<int, std::string>({.port = port, .key = key});   // the other side
/// c.send("four");
/// std::cout << c.recv() << '\n';
/// ```
///
/// This is the library `multiproc::network`, which the umbrella header does not include. Nothing listens unless asked,
/// and then for this machine alone unless told otherwise.
///
/// What is promised: both sides prove to each other that they have the key (HMAC-SHA-256 over fresh random numbers of
/// both), before anything that the peer sent is decoded or more than 96 bytes of it are read. Every message is signed
/// with a key of this connection and its number in it, so nobody on the way can change, insert, repeat or leave out
/// one.
///
/// What is not: nothing is encrypted. Whoever sees the packets can read the messages; where that matters, go through an
/// SSH tunnel or a VPN. Who has the key is trusted: a peer can send any values of the type that is received. And a key
/// that is short or guessable can be found out by who sees a handshake: use AuthKey::random().
///
/// Both sides must have the same order of bytes and sizes of types, which is checked, and types that look the same,
/// which is not; so build both from the same source. What lies in this machine's shared memory (queues, locks, arrays)
/// cannot be sent: CodecError.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <multiproc/codec.hpp>
#include <multiproc/config.hpp>
#include <multiproc/network_errors.hpp>
#include <multiproc/timeout.hpp>

namespace multiproc {

/// The secret that both sides must have. It never shows itself, unless by `hex`, and its bytes are overwritten when it
/// is gone. It can be an argument of a process. Source: Python's `authkey`.
class MULTIPROC_NETWORK_API AuthKey {
public:
    /// 32 bytes of the system's random source. Throws std::system_error if that fails.
    static AuthKey random();
    /// Any text. Throws std::invalid_argument if it is empty.
    static AuthKey from_string(std::string_view text);
    /// What `hex` gave. Throws std::invalid_argument if it is empty or anything but pairs of hexadecimal digits.
    static AuthKey from_hex(std::string_view digits);
    /// The secret itself, to be stored where the other side, and nobody else, can read it.
    std::string hex() const;

    AuthKey(const AuthKey&) = default;
    AuthKey(AuthKey&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
    AuthKey& operator=(AuthKey other) noexcept {
        bytes_.swap(other.bytes_);
        return *this;
    }
    ~AuthKey();

    /// For the library. Empty in what was moved from.
    std::span<const std::byte> bytes() const noexcept { return bytes_; }

private:
    friend struct detail::codec::Coder<AuthKey>;
    explicit AuthKey(std::vector<std::byte> bytes) noexcept : bytes_(std::move(bytes)) {}

    std::vector<std::byte> bytes_;
};

/// A longer message is refused before it is read; memory is taken as its bytes arrive.
inline constexpr std::size_t default_max_message = std::size_t{1} << 30;

/// A peer that did not become a connection.
struct RefusedPeer {
    std::string address;       ///< where it came from
    std::exception_ptr error;  ///< why: AuthenticationError, ProtocolError, TimeoutError, NetworkError
};

struct ListenerOptions {
    /// The interface to listen at: a number or a name. "0.0.0.0" and "::" are all of this machine's.
    std::string address = "127.0.0.1";
    std::uint16_t port = 0;                                   ///< 0: any that is free, see Listener::port
    AuthKey key;                                              ///< what peers must have
    std::size_t max_message = default_max_message;            ///< in bytes, for each direction
    Timeout handshake_timeout = std::chrono::seconds(5);      ///< how long a peer may take to prove its key
    std::size_t max_handshakes = 32;                          ///< at a time; one more, and the oldest is dropped
    std::function<void(const RefusedPeer&)> on_refused = {};  ///< called by `accept`, in its thread
};

struct ConnectOptions {
    std::string address = "127.0.0.1";  ///< a number or a name; looking a name up takes as long as the system wants
    std::uint16_t port = 0;
    AuthKey key;
    Timeout timeout = std::chrono::seconds(10);  ///< for connecting and the handshake together
    std::size_t max_message = default_max_message;
};

namespace network {
class MessageStream;
class Acceptor;
}  // namespace network

namespace detail {

/// One end of a connection, for bytes.
class MULTIPROC_NETWORK_API RemoteEnd {
public:
    explicit RemoteEnd(std::shared_ptr<network::MessageStream> stream) noexcept;
    static RemoteEnd connect(const ConnectOptions& options);

    void send(const OutputBuffer& message) const;
    /// The next message, or nothing if none came in that time; none means for ever.
    std::optional<std::vector<std::byte>> receive(std::optional<Timeout> timeout) const;
    bool poll(std::optional<Timeout> timeout) const;
    void close() const noexcept;
    bool is_closed() const noexcept;
    std::string peer() const;

private:
    network::MessageStream& stream() const;

    std::shared_ptr<network::MessageStream> stream_;
};

}  // namespace detail

/// One end of a connection to another program: receives `In`, sends `Out`. The functions are those of Connection, see
/// pipe.hpp, with the same errors. Thread-safe, `close` included: it wakes threads that wait in the others, which throw
/// ClosedError, as all do after it and in a copy of the program made by fork. Sending and receiving do not disturb each
/// other; of several threads that do the same, one does it at a time.
///
/// The other side learns of an end at once, however it came about. A machine that vanished without a word is noticed
/// after two minutes at most, by the system's probes. Source: Python's `multiprocessing.connection`.
template <class In, class Out>
class RemoteConnection {
public:
    explicit RemoteConnection(detail::RemoteEnd end) noexcept : end_(std::move(end)) {}
    RemoteConnection(RemoteConnection&&) noexcept = default;
    RemoteConnection& operator=(RemoteConnection&&) noexcept = default;
    RemoteConnection(const RemoteConnection&) = delete;
    RemoteConnection& operator=(const RemoteConnection&) = delete;
    ~RemoteConnection() = default;

    /// Waits while the other side does not receive what fills the system's buffers. What was sent arrives though this
    /// program ends, if it has received all that was sent to it. Throws what encoding throws; CodecError, and nothing
    /// is sent, for a message longer than the limit or one that refers to shared memory; ClosedError if the other side
    /// has gone.
    void send(const Out& message) const {
        HeapBuffer out;
        encode(out, message);
        end_.send(out);
    }

    /// The next message; waits until there is one. Throws EndOfFile when the other side has gone and all it had sent
    /// was received, IncompleteMessage if it went in the middle of a message, ProtocolError for a message longer than
    /// the limit or one that was tampered with (then the connection is closed), and what decoding throws; the message
    /// is gone then.
    In recv() const { return decoded(*end_.receive(std::nullopt)); }
    /// The same, but nothing if none came in `timeout`; zero or negative only asks. What has come of a message by then
    /// is kept for the next call.
    std::optional<In> recv_for(Timeout timeout) const {
        const std::optional<std::vector<std::byte>> message = end_.receive(timeout);
        if (!message) return std::nullopt;
        return decoded(*message);
    }
    /// Whether `recv` would not wait: because there is a whole message, or an error. Waits for that for at most
    /// `timeout`, or for ever if there is none. Never takes anything.
    bool poll(std::optional<Timeout> timeout = std::chrono::nanoseconds(0)) const { return end_.poll(timeout); }

    void close() const noexcept { end_.close(); }
    bool closed() const noexcept { return end_.is_closed(); }
    /// The other side's address and port, "127.0.0.1:54321" or "[::1]:54321".
    std::string peer() const { return end_.peer(); }

private:
    static In decoded(const std::vector<std::byte>& message) {
        InputBuffer in(message);
        return decode<In>(in);
    }

    detail::RemoteEnd end_;
};

/// Waits for peers that have the key. Thread-safe. Source: Python's `multiprocessing.connection.Listener`.
class MULTIPROC_NETWORK_API Listener {
public:
    /// Listens when it returns. Throws NetworkError if the address cannot be had, std::invalid_argument for options
    /// that make no sense.
    explicit Listener(ListenerOptions options);
    Listener(Listener&&) noexcept;
    Listener& operator=(Listener&&) noexcept;
    /// As `close`.
    ~Listener();

    std::string address() const;
    std::uint16_t port() const;

    /// The next peer that has proven its key. Those that do not are dropped, and `on_refused` is told; handshakes go on
    /// side by side, so none holds up others. They happen in here only: a peer that comes when nobody is here waits.
    /// Throws TimeoutError after `timeout`, ClosedError when the listener is closed, NetworkError if the system
    /// accepts nothing for now (the next call tries again), what `on_refused` throws.
    template <class In, class Out>
    RemoteConnection<In, Out> accept(std::optional<Timeout> timeout = std::nullopt) const {
        return RemoteConnection<In, Out>(accept_end(timeout));
    }

    /// Stops listening, and wakes who waits in `accept`. Connections that were accepted stay.
    void close() const noexcept;
    bool closed() const noexcept;

private:
    detail::RemoteEnd accept_end(std::optional<Timeout> timeout) const;
    network::Acceptor& acceptor() const;

    std::unique_ptr<network::Acceptor> acceptor_;
};

/// Connects to a Listener that has the same key. Throws TimeoutError, NetworkError if nobody listens there,
/// AuthenticationError if either side has another key, ProtocolError if it is no Listener or a machine with other
/// types, std::invalid_argument for options that make no sense. Source: Python's `multiprocessing.connection.Client`.
template <class In, class Out>
RemoteConnection<In, Out> connect(const ConnectOptions& options) {
    return RemoteConnection<In, Out>(detail::RemoteEnd::connect(options));
}

}  // namespace multiproc

namespace multiproc::detail::codec {

template <>
struct Coder<AuthKey> {
    static constexpr Problem problem = Problem::none;
    using Parts = Types<>;
    static constexpr std::size_t min_size() { return sizeof(std::uint64_t); }

    static void put(Encoder& encoder, const AuthKey& key) { codec::put(encoder, key.bytes_); }
    static AuthKey get(Decoder& decoder) { return AuthKey(codec::get<std::vector<std::byte>>(decoder)); }
};

}  // namespace multiproc::detail::codec
