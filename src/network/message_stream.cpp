#include "message_stream.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include <multiproc/network_errors.hpp>

#include "wire.hpp"

namespace multiproc::network {
namespace {

// What is signed, or allocated ahead of its arrival, at once; while the one side signs a piece, the other has the last.
constexpr std::size_t piece_size = std::size_t{256} << 10;
constexpr std::size_t ahead_size = std::size_t{64} << 10;

}  // namespace

class MessageStream::Turn {
public:
    Turn(MessageStream& stream, os::Deadline deadline) : stream_(stream) {
        std::unique_lock lock(stream.turn_mutex_);
        const auto is_free = [&stream] { return !stream.is_turn_taken_; };
        if (deadline == os::never) {
            stream.turn_over_.wait(lock, is_free);
        } else if (!stream.turn_over_.wait_until(lock, deadline, is_free)) {
            return;
        }
        stream.is_turn_taken_ = is_mine_ = true;
    }
    ~Turn() {
        if (!is_mine_) return;
        const std::lock_guard guard(stream_.turn_mutex_);
        stream_.is_turn_taken_ = false;
        stream_.turn_over_.notify_one();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    explicit operator bool() const noexcept { return is_mine_; }

private:
    MessageStream& stream_;
    bool is_mine_ = false;
};

MessageStream::MessageStream(std::shared_ptr<ByteStream> bytes, const SessionKeys& keys, std::size_t max_message)
    : bytes_(std::move(bytes)),
      max_message_(max_message),
      send_hmac_(keys.to_send),
      receive_hmac_(keys.to_receive),
      ahead_(ahead_size) {}

void MessageStream::close() noexcept {
    is_closed_.store(true);
    bytes_->close();
}

void MessageStream::require_open() const {
    bytes_->require_ours();
    if (is_closed_.load()) throw ClosedError("multiproc: this RemoteConnection is closed");
}

void MessageStream::sign_header(HmacSha256& hmac, std::uint64_t number, const Header& header) {
    Header place;
    put_number(place, number);
    hmac.update(place);
    hmac.update(header);
}

// ---- sending ----

void MessageStream::send(Bytes message) {
    require_open();
    if (message.size() > max_message_)
        throw CodecError("multiproc: a message of " + std::to_string(message.size()) +
                         " bytes is longer than the connection's limit of " + std::to_string(max_message_));
    const std::lock_guard guard(sending_);
    require_open();
    if (is_send_broken_) throw ClosedError("multiproc: the other side of this RemoteConnection has gone");
    try {
        Header header;
        put_number(header, message.size());
        sign_header(send_hmac_, sent_++, header);
        Bytes head = header;
        for (; message.size() > piece_size; message = message.subspan(piece_size), head = {}) {
            send_hmac_.update(message.first(piece_size));
            bytes_->write(head, message.first(piece_size));
        }
        send_hmac_.update(message);
        bytes_->write(head, message, send_hmac_.finish());
    } catch (...) {
        // Half a message may be out, and nothing can follow it. What the peer has sent can still be received.
        is_send_broken_ = true;
        bytes_->end_writing();
        throw;
    }
}

// ---- receiving ----

std::optional<std::vector<std::byte>> MessageStream::receive(os::Deadline deadline) {
    require_open();
    const Turn turn(*this, deadline);
    if (!turn || !receive_message(deadline)) return std::nullopt;
    if (part_ != Part::ready) throw_end();
    part_ = Part::header;
    return std::exchange(payload_, {});
}

bool MessageStream::await_message(os::Deadline deadline) {
    require_open();
    const Turn turn(*this, deadline);
    return turn && receive_message(deadline);
}

// Goes on with the message that is arriving. Returns false at the deadline; else it is there, or the end is.
bool MessageStream::receive_message(os::Deadline deadline) {
    if (part_ == Part::ready || end_ != End::none) return true;
    if (part_ == Part::header) {
        if (!fill(header_, have_, deadline)) return end_ != End::none;
        length_ = get_number(header_);
        if (length_ > max_message_) {
            fail("a message of " + std::to_string(length_) + " bytes was announced, and the limit is " +
                 std::to_string(max_message_));
            return true;
        }
        sign_header(receive_hmac_, received_++, header_);
        part_ = Part::payload;
        have_ = 0;
    }
    if (part_ == Part::payload) {
        if (!receive_payload(deadline)) return end_ != End::none;
        part_ = Part::signature;
        have_ = 0;
    }
    if (!fill(signature_, have_, deadline)) return end_ != End::none;
    if (!equal_in_constant_time(signature_, receive_hmac_.finish())) {
        fail("a message has a wrong signature: it was changed on its way");
        return true;
    }
    part_ = Part::ready;
    have_ = 0;
    return true;
}

bool MessageStream::receive_payload(os::Deadline deadline) {
    const auto length = static_cast<std::size_t>(length_);
    while (have_ < length) {
        // Up to twice what has come is taken ahead, and a piece at least.
        if (have_ == payload_.size()) payload_.resize((std::min)(length, (std::max)(2 * have_, piece_size)));
        const std::size_t begin = have_;
        const std::size_t end = (std::min)(payload_.size(), begin + piece_size);
        const bool is_full = fill(std::span(payload_).first(end), have_, deadline);
        receive_hmac_.update(Bytes(payload_).subspan(begin, have_ - begin));
        if (!is_full) return false;
    }
    return true;
}

// Goes on filling `target`, of which the first `have` bytes are there. Returns false at the deadline and at the end.
bool MessageStream::fill(std::span<std::byte> target, std::size_t& have, os::Deadline deadline) {
    while (have < target.size()) {
        const std::size_t left = target.size() - have;
        if (ahead_begin_ != ahead_end_) {
            const std::size_t count = (std::min)(left, ahead_end_ - ahead_begin_);
            std::memcpy(&target[have], &ahead_[ahead_begin_], count);
            have += count;
            ahead_begin_ += count;
            continue;
        }
        const bool is_direct = left >= ahead_.size();
        const std::optional<std::size_t> count =
            bytes_->read_some(is_direct ? target.subspan(have) : std::span(ahead_), deadline);
        if (!count) return false;
        if (*count == 0) {
            end_ = part_ == Part::header && have == 0 ? End::end_of_file : End::incomplete;
            end_reason_ = bytes_->end_reason();
            return false;
        }
        if (is_direct) {
            have += *count;
        } else {
            ahead_begin_ = 0;
            ahead_end_ = *count;
        }
    }
    return true;
}

void MessageStream::fail(std::string why) {
    end_ = End::protocol;
    end_reason_ = std::move(why);
    bytes_->close();
}

void MessageStream::throw_end() const {
    switch (end_) {
        case End::protocol: throw ProtocolError("multiproc: the connection was closed: " + end_reason_);
        case End::incomplete:
            throw IncompleteMessage("multiproc: the connection ended in the middle of a message" +
                                    (part_ == Part::payload ? ", after " + std::to_string(have_) + " of " +
                                                                  std::to_string(length_) + " bytes: "
                                                            : std::string(": ")) +
                                    end_reason_);
        default: throw EndOfFile("multiproc: the connection ended: " + end_reason_);
    }
}

}  // namespace multiproc::network
