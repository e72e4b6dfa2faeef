// A connection after the handshake: whole messages, each signed.
//
// On the wire a message is its length (8 bytes), its bytes, and 32 bytes of HMAC-SHA-256, by the direction's key, over
// its number (8 bytes, from 0 on), its length and its bytes. Memory is taken as the bytes arrive, whatever the length
// says.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "byte_stream.hpp"
#include "crypto.hpp"
#include "handshake.hpp"

namespace multiproc::network {

// Thread-safe. Functions throw ClosedError after `close` and in a copy of the process made by fork.
class MessageStream {
public:
    MessageStream(std::shared_ptr<ByteStream> bytes, const SessionKeys& keys, std::size_t max_message);

    // Waits while the peer does not receive. Throws CodecError for a message that is too long; ClosedError if the peer
    // has gone.
    void send(Bytes message);
    // Nothing at the deadline. Throws EndOfFile, IncompleteMessage, ProtocolError, and the same again when called
    // again.
    std::optional<std::vector<std::byte>> receive(os::Deadline deadline);
    // Whether `receive` would not wait.
    bool await_message(os::Deadline deadline);

    void close() noexcept;
    bool is_closed() const noexcept { return is_closed_.load(); }
    const std::string& peer() const noexcept { return bytes_->peer(); }

private:
    // The right to receive, for one thread at a time.
    class Turn;

    using Header = std::array<std::byte, 8>;

    void require_open() const;
    // What is signed in front of a message's bytes.
    static void sign_header(HmacSha256& hmac, std::uint64_t number, const Header& header);

    bool receive_message(os::Deadline deadline);
    bool receive_payload(os::Deadline deadline);
    bool fill(std::span<std::byte> target, std::size_t& have, os::Deadline deadline);
    [[noreturn]] void throw_end() const;
    void fail(std::string why);

    const std::shared_ptr<ByteStream> bytes_;
    const std::size_t max_message_;
    std::atomic<bool> is_closed_{false};

    std::mutex sending_;
    bool is_send_broken_ = false;
    HmacSha256 send_hmac_;
    std::uint64_t sent_ = 0;

    std::mutex turn_mutex_;
    std::condition_variable turn_over_;
    bool is_turn_taken_ = false;

    // The message that is arriving, or has arrived; for who has the turn.
    enum class Part : std::uint8_t { header, payload, signature, ready };
    enum class End : std::uint8_t { none, end_of_file, incomplete, protocol };
    HmacSha256 receive_hmac_;
    std::uint64_t received_ = 0;
    Part part_ = Part::header;
    std::size_t have_ = 0;  // bytes of that part
    Header header_{};
    std::uint64_t length_ = 0;
    std::vector<std::byte> payload_;
    Digest signature_{};
    End end_ = End::none;
    std::string end_reason_;
    // What was read ahead, so that small messages do not take a call each.
    std::vector<std::byte> ahead_;
    std::size_t ahead_begin_ = 0, ahead_end_ = 0;
};

}  // namespace multiproc::network
