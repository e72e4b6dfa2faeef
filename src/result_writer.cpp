#include "result_writer.hpp"

#include <algorithm>
#include <cstring>
#include <system_error>

#include <multiproc/errors.hpp>

#include "error_text.hpp"
#include "error_transport.hpp"
#include "runtime.hpp"

namespace multiproc {
namespace {

// An open record is given up for a fresh place in the ring rather than squeezed into less than this.
constexpr std::size_t smallest_room = 1024;

std::byte* payload_of(ResultRecord* record) noexcept { return reinterpret_cast<std::byte*>(record + 1); }

std::uint64_t now() noexcept {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(os::Clock::now().time_since_epoch()).count());
}

std::size_t items_bytes(std::uint64_t progress) noexcept { return static_cast<std::uint32_t>(progress); }

}  // namespace

ResultWriter::ResultWriter(Channel& channel, TaskRingWorker& tasks, os::HandleLink& link, Doorbell doorbell,
                           const ChildBlocks& blocks)
    : channel_(channel),
      link_(link),
      lot_(Runtime::get().lot()),
      doorbell_(doorbell),
      ring_(channel.result_worker()),
      tasks_(&tasks),
      blocks_(blocks) {
    result_ = this;
    progress_ = &unseen_progress_;
}

void ResultWriter::begin_call(std::uint64_t id, std::uint32_t items, std::uint32_t flags) {
    id_ = id;
    count = items;
    first_ = 0;
    done_ = 0;
    begun_ = flags == 0 ? 0 : now();
    if ((flags & CallRecord::watched) != 0) {
        ControlBlock& control = channel_.control();
        control.running_since.store(begun_, std::memory_order_relaxed);
        control.running.store(id, std::memory_order_release);
    }
    task_ = nullptr;
    error_text_.clear();
    open(smallest_room);
}

void ResultWriter::end_call() {
    if (record_ != nullptr && done_ != 0) send_record();
    close_record();
}

void ResultWriter::fail_all() noexcept {
    while (first_ + done_ < count) send_error();
}

// Waits until the ring has room for a record of `size` bytes.
ResultRingWorker::Room ResultWriter::reserve(std::size_t size) {
    ResultRingWorker::Room place = ring_.reserve(size);
    while (place.place == nullptr) {
        doorbell_.ring(News::stuck);
        channel_.sleep_child(lot_, [&] { return (place = ring_.reserve(size)).place != nullptr; });
        if (place.place == nullptr) place = ring_.reserve(size);
    }
    return place;
}

// A record with `payload` bytes; `room` is how many there are.
ResultRecord* ResultWriter::reserve_record(std::size_t payload, std::size_t& room) {
    const ResultRingWorker::Room place = reserve(sizeof(ResultRecord) + payload);
    room = place.size - sizeof(ResultRecord);
    return reinterpret_cast<ResultRecord*>(place.place);
}

// Opens a record with room for at least `bytes`.
void ResultWriter::open(std::size_t bytes) {
    std::size_t room = 0;
    record_ = reserve_record(bytes + room_for_blocks(kept_blocks_.size()), room);
    begin_record(record_, 0);
    progress_ = &record_->progress;
    begin_ = cursor_ = payload_of(record_);
    limit_ = begin_ + std::min(room, inline_limit);
    if (!kept_blocks_.empty()) write_block_ids(limit_ -= room_for_blocks(kept_blocks_.size()));
    done_ = 0;
}

void ResultWriter::begin_record(ResultRecord* record, std::uint32_t form) const noexcept {
    // What an earlier record left here must not pass for progress of this one.
    record->progress.store(0, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    record->id = id_;
    record->first = first_;
    record->form = form;
    record->blocks = 0;
}

void ResultWriter::close_record() noexcept {
    record_ = nullptr;
    lease_ = {};
    send_each_ = false;
    progress_ = &unseen_progress_;
    begin_ = cursor_ = limit_ = nullptr;
    done_ = 0;
}

void ResultWriter::push(ResultRecord* record, std::size_t payload) noexcept {
    record->begun = begun_;
    record->nanoseconds = begun_ == 0 ? 0 : now() - begun_;
    ring_.push(RecordKind::result, sizeof(ResultRecord) + payload);
}

void ResultWriter::tell() noexcept { doorbell_.ring(tasks_->is_low() ? News::low : News::result); }

// Sends the complete items of the open record.
void ResultWriter::send_record() noexcept {
    std::size_t bytes = items_bytes(record_->progress.load(std::memory_order_relaxed));
    if (!kept_blocks_.empty()) {
        write_block_ids(begin_ + bytes);  // nearer, so that the record becomes no longer than it must
        bytes += room_for_blocks(kept_blocks_.size());
        kept_blocks_.clear();
    }
    push(record_, bytes);
    first_ += done_;
    tell();
}

// The item at hand is complete and travels alone.
void ResultWriter::send_results() {
    if (!lease_.segment) {
        send_record();
        close_record();
        return open(smallest_room);
    }
    try {
        send_spilled();
    } catch (...) {
        head_of(*lease_.segment).in_use.store(0, std::memory_order_relaxed);
        done_ = 0;
        send_error();  // that the result could not be handed over is the item's result
        return;
    }
    close_record();
    open(smallest_room);
}

// Hands a handle over by `send`. If too many are on their way, it waits until the parent has taken them all.
template <class Send>
auto ResultWriter::hand_over(Send send) {
    for (;;) {
        // Looked at before: the parent may take the last one between the attempt and the look.
        const bool was_drained = ring_.is_drained();
        try {
            return send();
        } catch (const std::system_error& error) {
            if (error.code() != std::errc::resource_unavailable_try_again || was_drained) throw;
        }
        doorbell_.ring(News::stuck);
        channel_.sleep_child(lot_, [this] { return ring_.is_drained(); });
    }
}

SegmentRef ResultWriter::refer(const SegmentLease& lease, std::size_t bytes) {
    return hand_over([&] { return parent_.refer(lease, bytes, link_); });
}

void ResultWriter::send_spilled() {
    head_of(*lease_.segment).in_use.store(1, std::memory_order_relaxed);
    const SegmentRef ref = refer(lease_, size());
    send_single(ResultRecord::in_segment, std::as_bytes(std::span(&ref, 1)), 0);
}

void ResultWriter::grow(std::size_t more) {
    if (record_ == nullptr && !lease_.segment) throw CodecError("multiproc: a result is written outside of a task");
    const std::size_t whole = lease_.segment ? 0 : items_bytes(progress_->load(std::memory_order_relaxed));
    const std::size_t item = size() - whole;  // bytes of the unfinished item
    if (more > SIZE_MAX / 4 - item) throw std::bad_alloc();
    if (!lease_.segment) {
        const bool travels_alone = send_each_;
        set_item_aside();
        continue_item(more);
        send_each_ = send_each_ || travels_alone;
        return;
    }
    SegmentLease larger = segments_.acquire(item + more + item / 2);
    std::memcpy(larger.data(), begin_, item);
    lease_ = std::move(larger);
    begin_ = lease_.data();
    cursor_ = begin_ + item;
    limit_ = begin_ + lease_.capacity();
}

// Takes the unfinished item out of the ring, where the finished ones before it are sent.
void ResultWriter::set_item_aside() {
    const std::size_t whole = items_bytes(progress_->load(std::memory_order_relaxed));
    moving_.assign(begin_ + whole, cursor_);
    if (done_ != 0) send_record();
    close_record();
}

// Puts it where it has room for `more` bytes: into a fresh record, or a segment.
void ResultWriter::continue_item(std::size_t more) {
    const std::size_t item = moving_.size();
    if (item + more + room_for_blocks(kept_blocks_.size()) <= inline_limit) {
        open(std::max(item + more, smallest_room));
    } else {
        lease_ = segments_.acquire(item + more + 4096);
        for (const BlockId& id : std::exchange(kept_blocks_, {})) send_block_record(RecordKind::attach, id);
        begin_ = lease_.data();
        limit_ = begin_ + lease_.capacity();
        send_each_ = true;
    }
    if (item != 0) std::memcpy(begin_, moving_.data(), item);
    cursor_ = begin_ + item;
}

// An item that refers to blocks is alone in its record: who gets it holds the blocks. One that the parent keeps is
// named in that record; any other has a record of its own before it.
void ResultWriter::attach(detail::Attachment block) {
    if (record_ == nullptr && !lease_.segment) throw CodecError("multiproc: a result is written outside of a task");
    const BlockId id = block->id();
    const bool is_kept = blocks_.is_kept_by_parent(id);
    if (is_kept && !lease_.segment && done_ == 0 && kept_blocks_.empty()) {
        const std::size_t room = room_for_blocks(1);
        if (static_cast<std::size_t>(limit_ - cursor_) >= room) {
            kept_blocks_.push_back(id);
            write_block_ids(limit_ -= room);
            send_each_ = true;
            return;
        }
    }
    const os::Segment& segment = block->memory()->segment;
    std::optional<std::uint64_t> token;
    if (!is_kept) token = hand_over([&] { return link_.send(segment.handle()); });
    if (lease_.segment) return send_block_record(RecordKind::attach, id, segment.size(), token);
    set_item_aside();
    if (is_kept) {
        kept_blocks_.push_back(id);
    } else {
        send_block_record(RecordKind::attach, id, segment.size(), token);
    }
    continue_item(0);
    send_each_ = true;
}

// Enough to begin at a place that an id may have.
std::size_t ResultWriter::room_for_blocks(std::size_t blocks) const noexcept {
    return blocks == 0 ? 0 : blocks * sizeof(BlockId) + alignof(BlockId);
}

void ResultWriter::write_block_ids(std::byte* place) noexcept {
    const std::size_t offset = static_cast<std::size_t>(place - begin_) + alignof(BlockId) - 1;
    record_->blocks_at = static_cast<std::uint32_t>(offset / alignof(BlockId) * alignof(BlockId));
    std::memcpy(begin_ + record_->blocks_at, kept_blocks_.data(), kept_blocks_.size() * sizeof(BlockId));
    record_->blocks = static_cast<std::uint32_t>(kept_blocks_.size());
}

void ResultWriter::answer_detach(const BlockId& id) noexcept {
    send_block_record(RecordKind::detach, id);
    tell();
}

void ResultWriter::send_block_record(RecordKind kind, const BlockId& id, std::uint64_t size,
                                     std::optional<std::uint64_t> token) noexcept {
    auto* const record = reinterpret_cast<BlockRecord*>(reserve(sizeof(BlockRecord)).place);
    record->id = id;
    record->size = size;
    record->token = token.value_or(0);
    record->has_handle = token ? 1 : 0;
    ring_.push(kind, sizeof(BlockRecord));
}

void ResultWriter::send_error() noexcept {
    try {
        HeapBuffer encoded;
        encode_current_exception(encoded, os::current_pid(), task_ != nullptr ? task_->name() : std::string());
        error_text_ = current_exception_text();
        // What the item had written so far is dropped; the items before it are sent.
        kept_blocks_.clear();
        if (record_ != nullptr && done_ != 0) send_record();
        close_record();
        write_error(encoded.bytes());
        open(smallest_room);
    } catch (...) {
        // Not even the error could be sent (no memory left). The end of this process is an answer too.
        os::flush_streams();
        os::exit_now(1);
    }
}

// Sends a record of one item. Its progress is stored last: should this process die before, the parent finds nothing
// there.
void ResultWriter::send_single(std::uint32_t form, std::span<const std::byte> payload, std::size_t bytes) {
    std::size_t room = 0;
    ResultRecord* record = reserve_record(payload.size(), room);
    begin_record(record, form);
    std::memcpy(payload_of(record), payload.data(), payload.size());
    record->progress.store(pack(1, bytes), std::memory_order_release);
    push(record, payload.size());
    first_ += 1;
    tell();
}

void ResultWriter::write_error(std::span<const std::byte> encoded) {
    if (encoded.size() <= inline_limit) {
        send_single(ResultRecord::error, encoded, encoded.size());
        return;
    }
    const SegmentLease lease = segments_.acquire(encoded.size());
    std::memcpy(lease.data(), encoded.data(), encoded.size());
    head_of(*lease.segment).in_use.store(1, std::memory_order_relaxed);
    const SegmentRef ref = refer(lease, encoded.size());
    send_single(ResultRecord::error | ResultRecord::in_segment, std::as_bytes(std::span(&ref, 1)), 0);
}

}  // namespace multiproc
