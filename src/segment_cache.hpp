// Messages that do not fit a ring travel in segments of their own. Making, mapping and touching fresh shared memory
// costs far more than copying into it, so both sides keep a few segments for the next messages.
//
// A sender's SegmentSource has a few numbered places. A record names the place; the handle is sent along only when the
// receiver's SegmentStore does not have that segment yet.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>

#include <multiproc/buffer.hpp>

#include "os.hpp"
#include "ring.hpp"
#include "shared.hpp"

namespace multiproc {

inline constexpr std::uint32_t segment_places = 4;
inline constexpr std::size_t segment_payload = 64;               // offset of the message behind the head
inline constexpr std::size_t largest_kept_segment = 128u << 20;  // larger ones give their memory back after use

struct SegmentHead {
    std::atomic<std::uint32_t> in_use;  // set by the sender; the receiver clears it when it has read the message
};

inline SegmentHead& head_of(const os::Segment& segment) noexcept {
    return *reinterpret_cast<SegmentHead*>(segment.data());
}

// One message's segment. While a copy of `segment` is held, its place is not used for another message.
struct SegmentLease {
    std::shared_ptr<os::Segment> segment;
    std::uint32_t place = segment_places;
    std::uint32_t generation = 0;  // grows with every new segment at this place

    std::byte* data() const noexcept { return segment->data() + segment_payload; }
    std::size_t capacity() const noexcept { return segment->size() - segment_payload; }
};

class SegmentSource {
public:
    // A segment with room for `bytes`, not in use by anybody. Thread-safe. Throws std::system_error.
    SegmentLease acquire(std::size_t bytes);
    // One with the message in it, both parts of it, and nothing else, for a long time or for one receiver only: no place is
    // kept busy by it, and each receiver is handed it anew. Throws std::system_error and std::bad_alloc.
    static SegmentLease keep(std::span<const std::byte> message, std::span<const std::byte> rest = {});

private:
    struct Place {
        std::shared_ptr<os::Segment> segment;
        std::uint32_t generation = 0;
    };
    static bool is_free(const Place& place) noexcept;

    std::mutex mutex_;
    std::array<Place, segment_places> places_;
};

// What a sender knows about the segments one receiver has.
class SegmentPeer {
public:
    // Describes the message of `bytes` in `lease` to this receiver, handing the segment over if need be.
    SegmentRef refer(const SegmentLease& lease, std::size_t bytes, os::HandleLink& link);

private:
    std::array<std::uint32_t, segment_places> known_{};
};

class SegmentStore {
public:
    explicit SegmentStore(os::Segment::Access access) noexcept : access_(access) {}
    // The segment that `ref` is about. Throws std::system_error or CodecError if there is no such segment or it is
    // shorter than the message.
    std::shared_ptr<os::Segment> open(const SegmentRef& ref, os::HandleLink& link);

private:
    const os::Segment::Access access_;
    std::array<std::shared_ptr<os::Segment>, segment_places> places_;
};

// A message that starts in memory of this process and moves into a segment when it outgrows `inline_limit`.
class SpillBuffer final : public OutputBuffer {
public:
    explicit SpillBuffer(SegmentSource& source) noexcept : source_(&source) {}
    bool is_spilled() const noexcept { return lease_.segment != nullptr; }
    const SegmentLease& lease() const noexcept { return lease_; }
    // Where the message is, and how far it could grow, once it has room for `more` bytes.
    struct Room {
        std::byte *begin, *end;
    };
    Room make_room(std::size_t more) {
        append(more);
        truncate(size() - more);
        return {begin_, limit_};
    }
    // Empties it for the next message, whose attachments are others; a heap block is kept.
    void reset() noexcept;
    // Takes out the shared objects among the attachments, once the receiver has no use for them.
    std::vector<detail::Attachment> take_objects();
    // Takes the heap block out, shrunk to nothing but its bytes' ownership.
    std::unique_ptr<std::byte[]> take_block() noexcept;

private:
    void grow(std::size_t more) override;

    SegmentSource* source_;
    std::unique_ptr<std::byte[]> block_;
    std::size_t block_size_ = 0;
    SegmentLease lease_;
};

}  // namespace multiproc
