/// @file
/// A queue of messages, whatever they say. Internal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <multiproc/buffer.hpp>
#include <multiproc/config.hpp>
#include <multiproc/detail/shared_handle.hpp>
#include <multiproc/timeout.hpp>

namespace multiproc {
class Arena;
class WaitSet;
struct QueueSlot;
}  // namespace multiproc

namespace multiproc::detail {

/// How long a call may wait: not at all, for a time, or for ever.
struct Patience {
    bool block = true;
    std::optional<Timeout> timeout = {};
};

/// One message on its way in: beside the queue if it is small, so that it is complete before it takes a place there.
class MULTIPROC_API QueueWriter final : public OutputBuffer {
public:
    QueueWriter() noexcept {
        begin_ = cursor_ = small_;
        limit_ = small_ + sizeof small_;
    }

private:
    void grow(std::size_t more) override;

    std::byte small_[1200];
    std::unique_ptr<std::byte[]> large_;
};

/// One message that was taken. What it refers to is held as long as this is.
class MULTIPROC_API QueueMessage {
public:
    QueueMessage() noexcept = default;
    ~QueueMessage();
    QueueMessage(const QueueMessage&) = delete;
    QueueMessage& operator=(const QueueMessage&) = delete;

    static constexpr std::size_t most_inline = 1128;

    InputBuffer input() const noexcept { return InputBuffer({data_, size_}, blocks_); }
    /// The objects in shared memory that it refers to: their names.
    std::vector<std::uint64_t> references() const;
    /// For a message that came another way.
    void set(std::unique_ptr<std::byte[]> bytes, std::size_t size) noexcept {
        large_ = std::move(bytes);
        data_ = large_.get();
        size_ = size;
    }

private:
    friend class QueueCore;
    void take_in_blocks();
    void take_parcel(QueueSlot& slot, Arena& arena) noexcept;

    const std::byte* data_ = small_;
    std::size_t size_ = 0;
    std::uint64_t parcel_ = 0;
    std::byte small_[most_inline + 32];
    std::unique_ptr<std::byte[]> large_;
    std::vector<Attachment> blocks_;  // of shared memory, that it refers to or is in
};

/// What all queues are. All functions are thread-safe.
class MULTIPROC_API QueueCore : public SharedHandle {
public:
    static constexpr ObjectKind kind = ObjectKind::queue;
    static std::size_t state_size() noexcept;

protected:
    /// `inline_bytes`: messages of so many bytes need no memory besides the queue's own; 0: they can be of any size.
    /// `counts`: what was taken is unfinished until `done` is called.
    static ObjectRef make(std::int64_t max_size, std::size_t inline_bytes, bool counts = false);
    explicit QueueCore(ObjectRef object) noexcept : SharedHandle(std::move(object)) {}
    QueueCore(const QueueCore&) noexcept = default;
    QueueCore& operator=(const QueueCore&) noexcept = default;
    ~QueueCore() = default;

    /// False if there was no room in time.
    bool put_message(const OutputBuffer& message, const Patience& patience) const;
    /// The same for a message of these bytes, one behind the other, that refers to nothing: without a copy on the way.
    bool put_bytes(std::span<const std::byte> head, std::span<const std::byte> body, const Patience& patience) const;
    /// False if nothing came in time, or if nothing is left and the object of the name `sender`, if it is not 0, is gone.
    bool get_message(QueueMessage& message, const Patience& patience, std::uint64_t sender = 0) const;
    /// The same, but the message is shown to `read` where it is: others may have to wait for that, so it should do no more
    /// than copy it. What it throws is thrown on; the message is gone then.
    using Read = void (*)(void* context, std::span<const std::byte> bytes);
    bool read_message(Read read, void* context, const Patience& patience, std::uint64_t sender = 0) const;
    /// The same without taking anything.
    bool await_message(const Patience& patience, std::uint64_t sender) const;
    /// Who waits for messages.
    WaitSet& getters() const;

    std::uint64_t size() const;
    std::uint64_t max_size() const;
    void close_here() const;
    bool done() const;
    bool await_done(std::optional<Timeout> timeout) const;
};

}  // namespace multiproc::detail
