/// @file
/// The bytes of one message: where they are written to and read from.
///
/// ```cpp
/// multiproc::HeapBuffer out;
/// multiproc::encode(out, 42, std::string("answer"));
/// multiproc::InputBuffer in(out.bytes());
/// auto number = multiproc::decode<int>(in);
/// ```
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <multiproc/config.hpp>

namespace multiproc {

namespace detail {
class Shared;
/// Shared memory, or an object in it, that a message refers to. The message keeps it until the receiver has it.
using Attachment = std::shared_ptr<Shared>;
/// Adds what is not there yet, and returns whether it did. Throws CodecError for more than one message can have.
MULTIPROC_API bool add_once(std::vector<Attachment>& attachments, const Attachment& attachment);
}  // namespace detail

/// One contiguous message under construction. A derived class says where the bytes live (a heap block, a ring in shared
/// memory, a segment) and how to get more room. Not thread-safe.
class OutputBuffer {
public:
    OutputBuffer(const OutputBuffer&) = delete;
    OutputBuffer& operator=(const OutputBuffer&) = delete;

    /// Appends `count` bytes. Throws what `grow` throws (std::bad_alloc, CodecError).
    void write(const void* bytes, std::size_t count) {
        if (count == 0) return;
        std::memcpy(append(count), bytes, count);
    }

    /// Appends `count` bytes that the caller fills in, and returns where they are. The address is valid until the next
    /// append.
    std::byte* append(std::size_t count) {
        if (static_cast<std::size_t>(limit_ - cursor_) < count) grow(count);
        std::byte* place = cursor_;
        cursor_ += count;
        return place;
    }

    /// The bytes written so far.
    std::span<const std::byte> bytes() const noexcept { return {begin_, cursor_}; }
    std::size_t size() const noexcept { return static_cast<std::size_t>(cursor_ - begin_); }

    /// Replaces `count` bytes already written, from `offset` on.
    void overwrite(std::size_t offset, const void* bytes, std::size_t count) noexcept {
        std::memcpy(begin_ + offset, bytes, count);
    }

    /// Forgets everything behind the first `size` bytes.
    void truncate(std::size_t size) noexcept { cursor_ = begin_ + size; }

    /// The value being written refers to this shared memory, which goes with the message. Called before the value is
    /// written. Throws what handing it over throws.
    virtual void attach(const detail::Attachment& attachment) { detail::add_once(attachments_, attachment); }
    const std::vector<detail::Attachment>& attachments() const noexcept { return attachments_; }
    std::vector<detail::Attachment> take_attachments() noexcept { return std::exchange(attachments_, {}); }

protected:
    /// So that one that is made anew for every message need not ask for memory each time.
    std::vector<detail::Attachment>& attachment_storage() noexcept { return attachments_; }
    OutputBuffer() = default;
    ~OutputBuffer() = default;

    /// Makes room for `more` bytes behind the cursor; the bytes already written stay in front of it.
    virtual void grow(std::size_t more) = 0;

    std::byte* begin_ = nullptr;
    std::byte* cursor_ = nullptr;
    std::byte* limit_ = nullptr;

private:
    std::vector<detail::Attachment> attachments_;
};

/// A message in memory of this process.
class HeapBuffer final : public OutputBuffer {
public:
    HeapBuffer() = default;

private:
    void grow(std::size_t more) override {
        const std::size_t used = size();
        const std::size_t capacity = used + more + (used + more) / 2 + 64;
        std::unique_ptr<std::byte[]> block(new std::byte[capacity]);  // not zeroed: every byte is written before use
        if (used != 0) std::memcpy(block.get(), begin_, used);
        block_ = std::move(block);
        begin_ = block_.get();
        cursor_ = begin_ + used;
        limit_ = begin_ + capacity;
    }

    std::unique_ptr<std::byte[]> block_;
};

/// The unread rest of one received message. Reading never goes past the end: it throws CodecError instead.
class InputBuffer {
public:
    InputBuffer() = default;
    /// `attachments`: shared memory that came with the message, if that is known. It outlives this object, as `bytes` do.
    explicit InputBuffer(std::span<const std::byte> bytes,
                         std::span<const detail::Attachment> attachments = {}) noexcept
        : cursor_(bytes.data()), end_(bytes.data() + bytes.size()), attachments_(attachments) {}

    std::span<const detail::Attachment> attachments() const noexcept { return attachments_; }

    std::size_t remaining() const noexcept { return static_cast<std::size_t>(end_ - cursor_); }

    /// Copies the next `count` bytes to `target`. Throws CodecError when fewer are left.
    void read(void* target, std::size_t count) {
        const std::byte* place = take(count);
        if (count != 0) std::memcpy(target, place, count);
    }

    /// Steps over the next `count` bytes and returns where they are. Throws CodecError when fewer are left.
    const std::byte* take(std::size_t count) {
        if (count > remaining()) throw_truncated(count, remaining());
        const std::byte* place = cursor_;
        cursor_ += count;
        return place;
    }

private:
    [[noreturn]] MULTIPROC_API static void throw_truncated(std::size_t wanted, std::size_t left);

    const std::byte* cursor_ = nullptr;
    const std::byte* end_ = nullptr;
    std::span<const detail::Attachment> attachments_;
};

}  // namespace multiproc
