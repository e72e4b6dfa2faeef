/// @file
/// A path for messages between two ends, each of which any process can have.
///
/// ```cpp
/// void serve(multiproc::Connection<std::string, int> requests) {        // gets strings, sends numbers
///     try {
///         for (;;) requests.send(static_cast<int>(requests.recv().size()));
///     } catch (const multiproc::EndOfFile&) {}                           // nobody has the other end any more
/// }
///
/// auto [here, there] = multiproc::pipe<int, std::string>();             // here: gets numbers, sends strings
/// multiproc::Process process(serve, there);
/// there.close();                                                        // the process's is the only one then
/// process.start();
/// here.send("four");
/// std::cout << here.recv() << '\n';
/// ```
///
/// A message is anything the codec can carry, and arrives whole. `send` has delivered when it returns, and never waits for
/// the receiver. A Connection is a handle, as Lock is: see lock.hpp; if several threads or processes have one end, each
/// message goes to one of them. An end is gone when all its handles, in all processes, are closed or destroyed, or their
/// processes have ended.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <utility>

#include <multiproc/codec.hpp>
#include <multiproc/config.hpp>
#include <multiproc/detail/queue_core.hpp>
#include <multiproc/errors.hpp>
#include <multiproc/queue.hpp>
#include <multiproc/timeout.hpp>

namespace multiproc {

/// The other end of a pipe is gone, and what it had sent was received. Source: Python's `EOFError`.
class MULTIPROC_API EndOfFile : public Error {
public:
    using Error::Error;
    ~EndOfFile() override;
};

/// A message has more elements than `recv_into` was given room for. It is not lost: it is here.
/// Source: Python's `multiprocessing.BufferTooShort`.
template <class Message>
class BufferTooShort final : public Error {
public:
    explicit BufferTooShort(Message received)
        : Error("multiproc: a message of " + std::to_string(received.size()) +
                " elements does not fit the buffer; the error's `message` has it"),
          message(std::move(received)) {}

    Message message;
};

template <class In, class Out>
class Connection;
class Waitable;

/// A pipe: its two ends. What the one gets, the other sends. `pipe<T>()` is for the same type both ways. Throws what Lock
/// throws. Source: Python's `multiprocessing.Pipe`; for one direction send nothing back.
template <class In, class Out = In>
std::pair<Connection<In, Out>, Connection<Out, In>> pipe();

namespace detail {

/// One of the two ends: as long as somebody holds it, the other is not told that it is gone.
class MULTIPROC_API PipeEnd {
public:
    /// `lane`: what it sends goes there.
    static PipeEnd make(const SharedHandle& lane);
    void close() noexcept { held_.reset(); }
    bool is_closed() const noexcept { return held_ == nullptr; }
    /// A name of it that does not hold it.
    std::uint64_t name() const noexcept;
    void encode(OutputBuffer& out) const;
    static PipeEnd decode(InputBuffer& in, const SharedHandle& lane);

private:
    struct Held;
    std::shared_ptr<const Held> held_;
};

/// Whether nobody holds that end any more.
MULTIPROC_API bool is_end_gone(std::uint64_t name);
[[noreturn]] MULTIPROC_API void throw_end_of_file();
[[noreturn]] MULTIPROC_API void throw_peer_gone();
[[noreturn]] MULTIPROC_API void throw_connection_closed();

/// A direction of a pipe.
template <class T>
class PipeLane final : public TypedQueue<T> {
    using Base = TypedQueue<T>;

public:
    PipeLane() : PipeLane(OfObject{}, Base::make(0, Base::inline_bytes())) {}
    void send(const T& message) const { Base::send(message, {}); }
    /// Nothing at the deadline, or when the sender is gone and nothing is left.
    std::optional<T> receive(const Patience& patience, std::uint64_t sender) const {
        return this->take(patience, sender);
    }
    bool poll(const Patience& patience, std::uint64_t sender) const { return this->await_message(patience, sender); }

private:
    friend struct HandleAccess;
    PipeLane(OfObject, ObjectRef object) noexcept : Base(std::move(object)) {}
};

}  // namespace detail

/// One end of a pipe: receives `In`, sends `Out`. All functions are thread-safe, but for `close`, which is for this handle
/// alone. They throw ClosedError after it, and in a copy of the program that the host forked.
/// Source: Python's `multiprocessing.connection.Connection`.
template <class In, class Out>
class Connection {
public:
    /// Throws what encoding it throws, std::bad_alloc if there is no shared memory left for it, ClosedError if nobody has
    /// the other end any more.
    void send(const Out& message) const {
        require_open();
        if (detail::is_end_gone(peer_)) detail::throw_peer_gone();
        out_.send(message);
    }

    /// The next message; waits until there is one. Throws EndOfFile when nobody has the other end any more and all it has
    /// sent was received, and what decoding throws; the message is gone then.
    In recv() const {
        std::optional<In> message = receive({});
        if (!message) detail::throw_end_of_file();
        return *std::move(message);
    }
    /// The same, but nothing if none came in `timeout`; zero or negative only asks.
    std::optional<In> recv_for(Timeout timeout) const {
        std::optional<In> message = receive({true, timeout});
        if (!message && detail::is_end_gone(peer_) && !in_.poll({false, {}}, peer_)) detail::throw_end_of_file();
        return message;
    }
    /// Where messages are strings or vectors: copies the next one's elements to `target`, and returns how many they are.
    /// Throws what `recv` throws, and BufferTooShort<In>, with the message, if they are more than fit.
    /// Source: Python's `recv_bytes_into`.
    template <class Message = In>
        requires std::ranges::contiguous_range<Message>
    std::size_t recv_into(std::span<typename Message::value_type> target) const {
        In message = recv();
        if (message.size() > target.size()) throw BufferTooShort<In>(std::move(message));
        std::copy(message.begin(), message.end(), target.begin());
        return message.size();
    }
    /// Whether `recv` would not wait: because there is a message, or the end of file. Waits for that for at most
    /// `timeout`, or for ever if there is none. Never takes anything.
    bool poll(std::optional<Timeout> timeout = std::chrono::nanoseconds(0)) const {
        require_open();
        return in_.poll({true, timeout}, peer_) || detail::is_end_gone(peer_);
    }

    /// Lets go of the end; this handle cannot be used any more.
    void close() noexcept { end_.close(); }
    bool closed() const noexcept { return end_.is_closed(); }

private:
    template <class A, class B>
    friend std::pair<Connection<A, B>, Connection<B, A>> pipe();
    friend struct detail::codec::Coder<Connection>;
    friend class Waitable;
    Connection(detail::PipeLane<In> in, detail::PipeLane<Out> out, detail::PipeEnd end, std::uint64_t peer) noexcept
        : in_(std::move(in)), out_(std::move(out)), end_(std::move(end)), peer_(peer) {}
    void require_open() const {
        if (end_.is_closed()) detail::throw_connection_closed();
    }
    std::optional<In> receive(const detail::Patience& patience) const {
        require_open();
        return in_.receive(patience, peer_);
    }

    detail::PipeLane<In> in_;
    detail::PipeLane<Out> out_;
    detail::PipeEnd end_;
    std::uint64_t peer_;
};

template <class In, class Out>
std::pair<Connection<In, Out>, Connection<Out, In>> pipe() {
    const detail::PipeLane<In> in;
    const detail::PipeLane<Out> out;
    const detail::PipeEnd first = detail::PipeEnd::make(out), second = detail::PipeEnd::make(in);
    return {Connection<In, Out>(in, out, first, second.name()), Connection<Out, In>(out, in, second, first.name())};
}

}  // namespace multiproc

namespace multiproc::detail::codec {

template <class T>
struct Coder<PipeLane<T>> : HandleCoder<PipeLane<T>> {};

template <class In, class Out>
struct Coder<Connection<In, Out>> {
    static constexpr Problem problem = Problem::none;
    using Parts = Types<>;
    static constexpr std::size_t min_size() { return 4 * sizeof(std::uint64_t); }

    static void put(Encoder& encoder, const Connection<In, Out>& connection) {
        connection.require_open();
        Coder<PipeLane<In>>::put(encoder, connection.in_);
        Coder<PipeLane<Out>>::put(encoder, connection.out_);
        connection.end_.encode(encoder.out());
        encoder.number(connection.peer_);
    }
    static Connection<In, Out> get(Decoder& decoder) {
        PipeLane<In> in = Coder<PipeLane<In>>::get(decoder);
        PipeLane<Out> out = Coder<PipeLane<Out>>::get(decoder);
        PipeEnd end = PipeEnd::decode(decoder.in(), out);
        return Connection<In, Out>(std::move(in), std::move(out), std::move(end), decoder.number<std::uint64_t>());
    }
};

}  // namespace multiproc::detail::codec
