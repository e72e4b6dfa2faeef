#include "block_transfer.hpp"

#include <cstring>
#include <utility>

#include <multiproc/errors.hpp>

namespace multiproc {
namespace {

// The block that arrives with the record. Throws std::system_error if it cannot be taken in.
detail::Attachment take_in(const BlockRecord& record, os::HandleLink& link) {
    BlockRegistry& registry = BlockRegistry::get();
    os::Handle handle;
    if (record.has_handle != 0) handle = link.receive(record.token);
    if (detail::Attachment known = registry.find(record.id)) return known;
    if (!handle || record.size > SIZE_MAX)
        throw std::system_error(std::make_error_code(std::errc::bad_message),
                                "multiproc: a message refers to shared memory that was not sent with it");
    auto memory = std::make_shared<BlockMemory>();
    memory->id = record.id;
    memory->segment = os::Segment::adopt(std::move(handle), static_cast<std::size_t>(record.size));
    return registry.add(std::move(memory));
}

}  // namespace

bool BlockLedger::send(std::span<const detail::Attachment> blocks, TaskRingParent& ring, os::HandleLink& link) {
    for (const detail::Attachment& block : blocks) {
        if (known_.contains(block->id())) continue;
        std::byte* const place = ring.reserve(sizeof(BlockRecord));
        if (place == nullptr) return false;
        // First what may throw. An entry without a record would let the child look for a block that never came.
        auto known = std::make_shared<Known>(signal_ ? block->memory() : nullptr, ring.bottom(), signal_);
        const auto entry = known_.emplace(block->id(), known).first;
        auto* const record = reinterpret_cast<BlockRecord*>(place);
        try {
            if (signal_) BlockRegistry::get().observe(block, known);
            record->token = link.send(block->memory()->segment.handle());
        } catch (...) {
            known_.erase(entry);
            throw;
        }
        record->id = block->id();
        record->size = block->memory()->segment.size();
        record->has_handle = 1;
        record->is_kept = signal_ ? 1 : 0;
        last_position_ = ring.push(RecordKind::attach, sizeof(BlockRecord));
    }
    return true;
}

bool BlockLedger::send_detached(TaskRingParent& ring) {
    bool has_sent = false;
    for (auto entry = known_.begin(); entry != known_.end();) {
        const std::shared_ptr<Known>& known = entry->second;
        if (!known->is_unused.load(std::memory_order_acquire)) {
            ++entry;
            continue;
        }
        std::byte* const place = ring.reserve(sizeof(BlockRecord));
        if (place == nullptr) {
            signal_->raise();  // another time
            return has_sent;
        }
        leaving_.push_back({known, 0, 0});
        reinterpret_cast<BlockRecord*>(place)->id = entry->first;
        last_position_ = leaving_.back().position = ring.push(RecordKind::detach, sizeof(BlockRecord));
        leaving_.back().end = ring.bottom();
        ++signal_->leaving;
        entry = known_.erase(entry);
        has_sent = true;
    }
    return has_sent;
}

void BlockLedger::take_back(std::uint64_t position) noexcept {
    if (last_position_ <= position) return;
    last_position_ = position;
    std::erase_if(known_, [position](const auto& entry) { return entry.second->position > position; });
    while (!leaving_.empty() && leaving_.back().position > position) {
        std::shared_ptr<Known> known = std::move(leaving_.back().block);
        leaving_.pop_back();
        --signal_->leaving;
        // The child still has it, and is told again, if it was not taken back from it altogether.
        if (known->position > position) continue;
        try {
            known_.emplace(known->memory->id, known);
        } catch (const std::bad_alloc&) {}  // it keeps the block until its end
        signal_->raise();
    }
}

bool BlockLedger::accept(const ResultRingParent::Record& record, TaskRingParent& ring, os::HandleLink& link) {
    if (record.head.kind != RecordKind::attach && record.head.kind != RecordKind::detach) return false;
    if (record.head.size < sizeof(BlockRecord)) throw CodecError("multiproc: a worker sent a broken record");
    BlockRecord copy{};  // so that nothing changes between check and use
    const auto* const given = reinterpret_cast<const BlockRecord*>(record.place);
    copy.id = given->id;
    copy.size = given->size;
    copy.token = given->token;
    copy.has_handle = given->has_handle;
    if (record.head.kind == RecordKind::attach) {
        receive(copy, link);
        return true;
    }
    if (leaving_.empty() || !(leaving_.front().block->memory->id == copy.id))
        throw CodecError("multiproc: a worker let go of something else than it was told");
    ring.release(leaving_.front().end);  // it has come as far as this
    leaving_.pop_front();
    --signal_->leaving;
    return true;
}

void BlockLedger::receive(const BlockRecord& record, os::HandleLink& link) {
    try {
        arrived_.push_back(take_in(record, link));
    } catch (const std::system_error& error) {
        if (error.code() == std::errc::bad_message) throw;  // not what was announced: the worker's fault
        arrival_error_.emplace(error);
    }
}

void BlockLedger::take_arrived(std::span<const std::byte> ids, std::vector<detail::Attachment>& blocks) {
    blocks = std::exchange(arrived_, {});
    if (arrival_error_) {
        const std::system_error error = *arrival_error_;
        arrival_error_.reset();
        throw error;
    }
    for (; !ids.empty(); ids = ids.subspan(sizeof(BlockId))) {
        BlockId id;
        std::memcpy(&id, ids.data(), sizeof id);
        blocks.push_back(BlockRegistry::get().find(id));
        if (!blocks.back()) throw CodecError("multiproc: a worker named shared memory that is not here");
    }
}

void ChildBlocks::attach(const BlockRecord& record, os::HandleLink& link) {
    try {
        blocks_[record.id] = {take_in(record, link), record.is_kept != 0};
    } catch (const std::system_error& error) {
        blocks_.erase(record.id);
        BlockRegistry::get().fail(record.id, error);
    }
}

}  // namespace multiproc
