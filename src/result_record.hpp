// Reading what a child wrote into its result ring, without trusting it.
#pragma once

#include <memory>
#include <optional>
#include <span>

#include "child.hpp"
#include "ring.hpp"

namespace multiproc {

struct ResultMessage {
    std::uint64_t id = 0;
    std::uint32_t first = 0;
    std::uint32_t count = 0;
    std::uint64_t begun = 0;        // nanoseconds of the steady clock...
    std::uint64_t nanoseconds = 0;  // ... how long the call has taken so far...
    std::uint64_t in_calls = 0;     // ... and how much of that was the function itself; 0 if it was not timed
    bool is_error = false;
    const std::byte* data = nullptr;  // in the ring: copy it before the record is popped; or in `segment`
    std::size_t size = 0;
    bool is_in_segment = false;
    SegmentRef ref{};
    std::shared_ptr<os::Segment> segment;    // once attached
    std::optional<BlockId> named_block;      // a block that is here, and that the result refers to...
    detail::Attachment block;                // ... once attached...
    std::vector<detail::Attachment> blocks;  // ... or several of them

    std::span<const std::byte> bytes() const noexcept { return {data, size}; }
};

// What `record` says. Throws CodecError if it contradicts itself.
ResultMessage read_result_record(const ResultRingParent::Record& record);
// Takes over the memory that a message is in, or refers to; `given`: what came with the call. Throws CodecError if there
// is none, std::system_error if this process cannot take it (std::errc::bad_message: because it is not what was
// announced).
void attach_memory(ResultMessage& message, Child& child, std::span<const detail::Attachment> given);

// What a child that has ended left in the record it was writing, by its ring: the items it had finished but not sent. A
// count of 0 if there is nothing.
ResultMessage read_unfinished_record(const ResultRingParent& ring) noexcept;

}  // namespace multiproc
