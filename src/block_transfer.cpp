#include "block_transfer.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include <multiproc/errors.hpp>

#include "die_here.hpp"
#include "shared_object.hpp"

namespace multiproc {
namespace {

// A block that has arrived, or that this process has. Throws std::system_error if it cannot be taken in.
detail::BlockRef take_in(const BlockEntry& entry, os::Handle handle) {
    BlockRegistry& registry = BlockRegistry::get();
    if (detail::BlockRef known = registry.find(entry.id)) return known;
    if (!handle || entry.size > SIZE_MAX)
        throw std::system_error(std::make_error_code(std::errc::bad_message),
                                "multiproc: a message refers to shared memory that was not sent with it");
    auto memory = std::make_shared<BlockMemory>();
    memory->id = entry.id;
    memory->segment = os::Segment::adopt(std::move(handle), static_cast<std::size_t>(entry.size));
    return registry.add(std::move(memory));
}

std::vector<os::Handle> receive_handles(const AttachRecord& record, os::HandleLink& link) {
    if (record.handles == 0) return {};
    std::vector<os::Handle> handles = link.receive(record.token, record.handles);
    die_here(DeathPoint::blocks_received);
    return handles;
}

}  // namespace

bool BlockLedger::send(std::span<const detail::Attachment> blocks, TaskRingParent& ring, os::HandleLink& link) {
    if (orphaned_) send_discard(ring);
    // Objects need not be sent: their names are enough, and the caller keeps them until the call is done.
    std::vector<detail::BlockRef> missing;
    for (const detail::Attachment& attachment : blocks) {
        const detail::SharedBlock* const block = detail::block_of(attachment);
        if (block == nullptr || known_.contains(block->id())) continue;
        // Calls that are sent together may have the same one.
        const auto is_same = [id = block->id()](const detail::BlockRef& other) { return other->id() == id; };
        if (std::ranges::none_of(missing, is_same))
            missing.push_back(std::static_pointer_cast<detail::SharedBlock>(attachment));
    }
    for (std::span<const detail::BlockRef> rest(missing); !rest.empty();) {
        const std::size_t some = std::min(rest.size(), AttachRecord::most_blocks);
        if (!send_some(rest.first(some), ring, link)) return false;
        rest = rest.subspan(some);
    }
    return true;
}

bool BlockLedger::send_some(std::span<const detail::BlockRef> blocks, TaskRingParent& ring, os::HandleLink& link) {
    const std::size_t size = AttachRecord::size(blocks.size());
    std::byte* const place = ring.reserve(size);
    if (place == nullptr) return false;
    // What may throw comes first, as an entry without a record would let the child look for a block that never came.
    std::vector<os::RawHandle> handles;
    for (const detail::BlockRef& block : blocks) handles.push_back(block->memory()->handle());
    std::size_t entered = 0;
    try {
        for (; entered < blocks.size(); ++entered) {
            const detail::BlockRef& block = blocks[entered];
            auto known = std::make_shared<Known>(signal_ ? block->memory() : nullptr, ring.bottom(), signal_);
            if (signal_) BlockRegistry::get().observe(block, known);
            known_.emplace(block->id(), std::move(known));
        }
        last_token_ = link.send(handles);
        die_here(DeathPoint::blocks_sent);
    } catch (...) {
        for (const detail::BlockRef& block : blocks.first(entered)) known_.erase(block->id());
        throw;
    }
    auto* const record = reinterpret_cast<AttachRecord*>(place);
    record->token = last_token_;
    record->count = record->handles = static_cast<std::uint32_t>(blocks.size());
    auto* const entries = reinterpret_cast<BlockEntry*>(record + 1);
    for (std::size_t i = 0; i < blocks.size(); ++i) entries[i] = {blocks[i]->id(), blocks[i]->memory()->segment.size()};
    last_position_ = ring.push(RecordKind::attach, size);
    die_here(DeathPoint::blocks_attached);
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
            signal_->raise_quietly();  // there is room when a result has come
            return has_sent;
        }
        leaving_.push_back({entry->first, known, 0, 0, false});
        reinterpret_cast<BlockRecord*>(place)->number = static_cast<std::uint64_t>(entry->first);
        last_position_ = leaving_.back().position = ring.push(RecordKind::detach, sizeof(BlockRecord));
        leaving_.back().end = ring.bottom();
        die_here(DeathPoint::block_detached);
        ++signal_->leaving;
        entry = known_.erase(entry);
        has_sent = true;
    }
    return has_sent;
}

void BlockLedger::take_back(std::uint64_t position, TaskRingParent& ring) noexcept {
    if (last_position_ <= position) return;
    last_position_ = position;
    // Their handles are on the way all the same, and would stay there until others are asked for.
    if (std::erase_if(known_, [position](const auto& entry) { return entry.second->position > position; }) != 0)
        orphaned_ = last_token_;
    while (!leaving_.empty() && leaving_.back().position > position) {
        const Leaving last = std::move(leaving_.back());
        leaving_.pop_back();
        --signal_->leaving;
        // The child still has it, and is told again; if it was not taken back from it altogether.
        if (last.block->position > position) {
            orphaned_ = last_token_;
            continue;
        }
        try {
            known_.emplace(last.id, last.block);
        } catch (const std::bad_alloc&) {}  // it keeps the block until its end
        signal_->raise();
    }
    if (orphaned_) send_discard(ring);
}

void BlockLedger::send_discard(TaskRingParent& ring) noexcept {
    std::byte* const place = ring.reserve(sizeof(BlockRecord));
    if (place == nullptr) return;
    reinterpret_cast<BlockRecord*>(place)->number = *std::exchange(orphaned_, std::nullopt);
    ring.push(RecordKind::discard, sizeof(BlockRecord));
}

bool BlockLedger::accept(const ResultRingParent::Record& record, TaskRingParent& ring, os::HandleLink& link) {
    if (record.head.kind == RecordKind::attach) {
        receive(record, link);
        return true;
    }
    if (record.head.kind != RecordKind::detach && record.head.kind != RecordKind::refuse) return false;
    if (record.head.size < sizeof(BlockRecord)) throw CodecError("multiproc: a worker sent a broken record");
    const auto id = static_cast<BlockId>(reinterpret_cast<const BlockRecord*>(record.place)->number);
    if (record.head.kind == RecordKind::refuse) {
        if (!forget_refused(id)) throw CodecError("multiproc: a worker refused something that it was not sent");
        return true;
    }
    if (leaving_.empty() || leaving_.front().id != id)
        throw CodecError("multiproc: a worker let go of something else than it was told");
    ring.release(leaving_.front().end);  // it has come as far as this
    leaving_.pop_front();
    --signal_->leaving;
    return true;
}

// The next call that needs the block tries again. Once for each time that it was sent, so that a ring full of refusals has
// an end.
bool BlockLedger::forget_refused(BlockId id) noexcept {
    if (known_.erase(id) != 0) return true;
    const auto found = std::ranges::find_if(
        leaving_, [id](const Leaving& leaving) { return leaving.id == id && !leaving.is_refused; });
    if (found == leaving_.end()) return false;
    found->is_refused = true;
    return true;
}

void BlockLedger::receive(const ResultRingParent::Record& given, os::HandleLink& link) {
    const auto broken = [] { return CodecError("multiproc: a worker sent a broken record"); };
    if (given.head.size < sizeof(AttachRecord)) throw broken();
    // Copies, so that nothing changes between check and use.
    const auto* const place = reinterpret_cast<const AttachRecord*>(given.place);
    AttachRecord record{};
    record.token = place->token;
    record.count = place->count;
    record.handles = place->handles;
    // A result refers to no more than that, however many records say so.
    if (record.count == 0 || record.count > most_attachments - std::min(arrived_.size(), most_attachments))
        throw broken();
    if (record.count > AttachRecord::most_blocks || record.handles > record.count ||
        AttachRecord::size(record.count) > given.head.size)
        throw broken();
    std::vector<BlockEntry> entries(record.count);
    std::memcpy(entries.data(), place + 1, record.count * sizeof(BlockEntry));
    try {
        std::vector<os::Handle> handles = receive_handles(record, link);
        auto next = handles.begin();
        for (const BlockEntry& entry : entries) {
            if (entry.size == BlockEntry::is_object) {
                has_borrowed_ = true;
                arrived_.push_back(
                    ObjectRegistry::get().require(Arena::Ref::unpack(static_cast<std::uint64_t>(entry.id))));
                continue;
            }
            if (entry.size != 0 && next == handles.end()) throw broken();
            arrived_.push_back(take_in(entry, entry.size == 0 ? os::Handle() : std::move(*next++)));
        }
    } catch (const std::system_error& error) {
        if (error.code() == std::errc::bad_message) throw;  // not what was announced: the worker's fault
        arrival_error_.emplace(error);
    }
}

std::vector<detail::Attachment> BlockLedger::take_arrived() {
    std::vector<detail::Attachment> blocks = std::exchange(arrived_, {});
    if (!arrival_error_) return blocks;
    const std::system_error error = *arrival_error_;
    arrival_error_.reset();
    throw error;
}

void ChildBlocks::detach(BlockId id) noexcept {
    std::erase_if(recent_, [id](const detail::Attachment& block) { return detail::is_block(block, id); });
    blocks_.erase(id);
}

std::vector<BlockId> ChildBlocks::attach(const AttachRecord& record, os::HandleLink& link) {
    const auto* const entries = reinterpret_cast<const BlockEntry*>(&record + 1);
    std::vector<BlockId> refused;
    const auto refuse = [&](BlockId id, const std::system_error& error) {
        BlockRegistry::get().fail(id, error);
        refused.push_back(id);
    };
    std::vector<os::Handle> handles;
    try {
        handles = receive_handles(record, link);
    } catch (const std::system_error& error) {
        for (std::uint32_t i = 0; i < record.count; ++i) refuse(entries[i].id, error);
        return refused;
    }
    for (std::uint32_t i = 0; i < record.count; ++i) {
        try {
            const detail::BlockRef block = take_in(entries[i], std::move(handles.at(i)));
            blocks_[entries[i].id] = block;
            if (recent_.size() == most_recent) recent_.erase(recent_.begin());
            recent_.push_back(block);
        } catch (const std::system_error& error) {
            blocks_.erase(entries[i].id);
            refuse(entries[i].id, error);
        }
    }
    return refused;
}

}  // namespace multiproc
