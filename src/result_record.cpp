#include "result_record.hpp"

#include <algorithm>
#include <cstring>

#include <multiproc/errors.hpp>

namespace multiproc {
namespace {

// A year: times are added up, and who adds up what a worker made up must not leave the range of numbers.
constexpr std::uint64_t longest_call = std::uint64_t{365} * 24 * 3600 * 1'000'000'000;

// A copy of the fixed part, so that nothing changes between check and use; `room` bytes are behind it.
ResultMessage copy_fields(const std::byte* place, std::size_t room) noexcept {
    const auto* record = reinterpret_cast<const ResultRecord*>(place);
    const std::uint64_t progress = record->progress.load(std::memory_order_acquire);
    const std::uint32_t form = record->form;
    ResultMessage message;
    message.id = record->id;
    message.first = record->first;
    message.count = static_cast<std::uint32_t>(progress >> 32);
    message.size = static_cast<std::uint32_t>(progress);
    message.is_in_segment = (form & ResultRecord::in_segment) != 0;
    message.is_error = (form & ResultRecord::error) != 0;
    message.data = place + sizeof(ResultRecord);
    const std::size_t block_offset = form >> ResultRecord::block_offset_shift;
    if ((form & ResultRecord::names_block) != 0 && block_offset + sizeof(BlockId) <= std::min(message.size, room))
        std::memcpy(&message.named_block.emplace(), message.data + block_offset, sizeof(BlockId));
    return message;
}

}  // namespace

ResultMessage read_result_record(const ResultRingParent::Record& record) {
    if (record.head.kind != RecordKind::result || record.head.size < sizeof(ResultRecord))
        throw CodecError("multiproc: a worker sent a broken result");
    const std::size_t room = record.head.size - sizeof(ResultRecord);
    ResultMessage message = copy_fields(record.place, room);
    if (const auto* result = reinterpret_cast<const ResultRecord*>(record.place);
        (result->form & ResultRecord::timed) != 0 && room >= sizeof(ResultTiming)) {
        ResultTiming timing{};
        std::memcpy(&timing, record.place + record.head.size - sizeof timing, sizeof timing);
        message.begun = timing.begun;
        message.nanoseconds = std::min(timing.nanoseconds, longest_call);
        message.in_calls = std::min(timing.in_calls, message.nanoseconds);
    }
    if (message.count == 0 || (message.is_error && message.count != 1))
        throw CodecError("multiproc: a worker sent a broken result");
    if (message.is_in_segment) {
        if (message.count != 1 || room < sizeof message.ref)
            throw CodecError("multiproc: a worker sent a broken result");
        std::memcpy(&message.ref, message.data, sizeof message.ref);
        message.size = static_cast<std::size_t>(message.ref.bytes);
    } else if (message.size > room) {
        throw CodecError("multiproc: a worker sent a broken result");
    }
    return message;
}

void attach_memory(ResultMessage& message, Child& child, std::span<const detail::Attachment> given) {
    message.blocks = child.take_arrived_blocks();
    if (message.named_block) {
        const auto is_meant = [&](const detail::Attachment& block) {
            return detail::is_block(block, *message.named_block);
        };
        const auto found = std::ranges::find_if(given, is_meant);
        message.block = found != given.end() ? *found : BlockRegistry::get().require(*message.named_block);
    }
    if ((message.block || !message.blocks.empty()) && message.count != 1)
        throw CodecError("multiproc: a worker sent a broken result");
    if (!message.is_in_segment) return;
    message.segment = child.open(message.ref);
    message.data = message.segment->data() + segment_payload;
}

ResultMessage read_unfinished_record(const ResultRingParent& ring) noexcept {
    if (ring.unfinished_room() < sizeof(ResultRecord)) return {};
    const std::size_t room = ring.unfinished_room() - sizeof(ResultRecord);
    ResultMessage message = copy_fields(ring.unfinished(), room);
    const bool fits = message.size <= room;
    if (message.is_in_segment || message.is_error || !fits) return {};
    return message;
}

}  // namespace multiproc
