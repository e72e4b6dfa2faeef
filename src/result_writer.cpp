#include "result_writer.hpp"

#include <algorithm>
#include <cstring>
#include <system_error>

#include <multiproc/errors.hpp>

#include "die_here.hpp"
#include "error_text.hpp"
#include "error_transport.hpp"
#include "runtime.hpp"
#include "sandbox.hpp"
#include "shared_object.hpp"

namespace multiproc {
namespace {

// An open record is given up for a fresh place in the ring rather than squeezed into less than this.
constexpr std::size_t smallest_room = 1024;

std::byte* payload_of(ResultRecord* record) noexcept { return reinterpret_cast<std::byte*>(record + 1); }

std::uint64_t to_nanoseconds(os::Clock::duration time) noexcept {
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(time).count());
}
std::uint64_t now() noexcept { return to_nanoseconds(os::Clock::now().time_since_epoch()); }

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
      known_blocks_(blocks),
      is_read_(channel.control().role == Role::pool_worker) {
    result_ = this;
    progress_ = &unseen_progress_;
}

void ResultWriter::begin_call(std::uint64_t id, std::uint32_t items, std::uint32_t flags) {
    id_ = id;
    count = items;
    first_ = 0;
    done_ = 0;
    begun_ = flags == 0 ? 0 : now();
    times_calls_ = false;
    if (begun_ != 0) time_calls();
    if ((flags & CallRecord::watched) != 0) {
        ControlBlock& control = channel_.control();
        control.running_since.store(begun_, std::memory_order_relaxed);
        die_here(DeathPoint::call_has_time);
        control.running.store(id, std::memory_order_release);
        die_here(DeathPoint::call_announced);
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
        die_here(DeathPoint::result_ring_full);
        doorbell_.ring(News::stuck);
        channel_.sleep_child(lot_, [&] { return (place = ring_.reserve(size)).place != nullptr; });
        if (place.place == nullptr) place = ring_.reserve(size);
    }
    return place;
}

// A record with `payload` bytes; `room` is how many there are.
ResultRecord* ResultWriter::reserve_record(std::size_t payload, std::size_t& room) {
    const ResultRingWorker::Room place = reserve(sizeof(ResultRecord) + payload + sizeof(ResultTiming));
    room = place.size - sizeof(ResultRecord) - sizeof(ResultTiming);
    return reinterpret_cast<ResultRecord*>(place.place);
}

// Opens a record with room for at least `bytes`.
void ResultWriter::open(std::size_t bytes) {
    std::size_t room = 0;
    record_ = reserve_record(bytes, room);
    begin_record(record_, 0);
    progress_ = &record_->progress;
    begin_ = cursor_ = payload_of(record_);
    limit_ = begin_ + std::min(room, inline_limit);
    done_ = 0;
}

void ResultWriter::begin_record(ResultRecord* record, std::uint32_t form) const noexcept {
    // What an earlier record left here must not pass for progress of this one.
    record->progress.store(0, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    record->id = id_;
    record->first = first_;
    record->form = form;
    die_here(DeathPoint::result_begun);
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
    std::size_t size = sizeof(ResultRecord) + payload;
    if (begun_ != 0) {
        size = round_up_to_cell(size + sizeof(ResultTiming));
        const ResultTiming timing{begun_, now() - begun_, to_nanoseconds(time_in_calls())};
        std::memcpy(reinterpret_cast<std::byte*>(record) + size - sizeof timing, &timing, sizeof timing);
        record->form |= ResultRecord::timed;
    }
    ring_.push(RecordKind::result, size);
}

void ResultWriter::tell() noexcept { doorbell_.ring(tasks_->is_low() ? News::low : News::result); }

// Sends the complete items of the open record.
void ResultWriter::send_record() noexcept {
    push(record_, items_bytes(record_->progress.load(std::memory_order_relaxed)));
    first_ += done_;
    die_here(DeathPoint::results_sent);
    tell();
}

// The item at hand is complete and travels alone.
void ResultWriter::send_results() {
    if (!lease_.segment) {
        send_record();
        close_record();
        blocks_.clear();
        return open(smallest_room);
    }
    try {
        lend_objects();
        send_blocks();
        send_spilled();
        end_loan();
    } catch (...) {
        end_loan();
        head_of(*lease_.segment).in_use.store(0, std::memory_order_relaxed);
        done_ = 0;
        send_error();  // that the result could not be handed over is the item's result
        return;
    }
    close_record();
    blocks_.clear();
    open(smallest_room);
}

// Objects that the result refers to are kept here until the parent holds them, which it does before it takes the record.
void ResultWriter::lend_objects() {
    std::vector<detail::Attachment> objects;
    for (const detail::Attachment& shared : blocks_)
        if (detail::block_of(shared) == nullptr) objects.push_back(shared);
    if (!objects.empty()) lent_.push_back({UINT64_MAX, std::move(objects)});
}
void ResultWriter::end_loan() noexcept {
    if (!lent_.empty() && lent_.back().end == UINT64_MAX) lent_.back().end = ring_.tail();
}
void ResultWriter::take_back_loans() noexcept {
    while (has_ended_loan()) lent_.pop_front();
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
            if (error.code() != std::errc::resource_unavailable_try_again || was_drained || !is_read_) throw;
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
    die_here(DeathPoint::result_segment_in_use);
    const SegmentRef ref = refer(lease_, size());
    die_here(DeathPoint::result_segment_sent);
    send_single(ResultRecord::in_segment, std::as_bytes(std::span(&ref, 1)), 0);
}

void ResultWriter::grow(std::size_t more) {
    if (record_ == nullptr && !lease_.segment) throw CodecError("multiproc: a result is written outside of a task");
    const std::size_t whole = lease_.segment ? 0 : items_bytes(progress_->load(std::memory_order_relaxed));
    const std::size_t item = size() - whole;  // bytes of the unfinished item
    if (more > SIZE_MAX / 4 - item) throw std::bad_alloc();
    if (!lease_.segment) {
        set_item_aside();
        return continue_item(more);
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
    if (item + more <= inline_limit) {
        open(std::max(item + more, smallest_room));
        if (!blocks_.empty()) name_block();
    } else {
        move_into_segment(item + more);
    }
    if (item != 0) std::memcpy(begin_, moving_.data(), item);
    cursor_ = begin_ + item;
}

void ResultWriter::move_into_segment(std::size_t bytes) {
    lease_ = segments_.acquire(bytes + 4096);
    begin_ = cursor_ = lease_.data();
    limit_ = begin_ + lease_.capacity();
    send_each_ = true;
}

// An item that refers to blocks is alone in its record: who gets it holds the blocks. If that is one block, and the
// parent keeps it, the record says where in the item its id stands. Else they are sent before the record, which refers to
// a segment then: an item in a ring counts from the moment it is complete, and these are not complete before.
void ResultWriter::attach(const detail::Attachment& block) {
    if (record_ == nullptr && !lease_.segment) throw CodecError("multiproc: a result is written outside of a task");
    if (is_confined()) {
        throw CodecError(
            "multiproc: the result of a task in a sandboxed pool refers to shared memory (a SharedArray, queue, lock, "
            "value "
            "or proxy), which its worker must not have; return its contents, as a std::vector");
    }
    if (!detail::add_once(blocks_, block) || lease_.segment) return;
    const detail::SharedBlock* const first = detail::block_of(blocks_.front());
    const bool is_named = blocks_.size() == 1 && first != nullptr && known_blocks_.is_kept_by_parent(first->id());
    if (is_named && done_ == 0) {
        block_offset_ = size();
        return name_block();
    }
    set_item_aside();
    if (is_named) {
        block_offset_ = moving_.size();
        continue_item(0);
    } else {
        move_into_segment(moving_.size());
        if (!moving_.empty()) std::memcpy(begin_, moving_.data(), moving_.size());
        cursor_ = begin_ + moving_.size();
    }
}

void ResultWriter::name_block() noexcept {
    record_->form = ResultRecord::names_block | static_cast<std::uint32_t>(block_offset_)
                                                    << ResultRecord::block_offset_shift;
    send_each_ = true;
}

void ResultWriter::send_blocks() {
    for (std::span<const detail::Attachment> rest(blocks_); !rest.empty();) {
        const auto some = rest.first(std::min(rest.size(), AttachRecord::most_blocks));
        rest = rest.subspan(some.size());
        std::vector<BlockEntry> entries;
        std::vector<os::RawHandle> handles;
        for (const detail::Attachment& attachment : some) {
            const detail::SharedBlock* const block = detail::block_of(attachment);
            if (block == nullptr) {
                channel_.control().lends_objects.store(1, std::memory_order_relaxed);
                die_here(DeathPoint::result_lends_objects);
                entries.push_back({BlockId{name_of(attachment).pack()}, BlockEntry::is_object});
                continue;
            }
            const bool is_kept = known_blocks_.is_kept_by_parent(block->id());
            entries.push_back({block->id(), is_kept ? 0 : block->memory()->segment.size()});
            if (!is_kept) handles.push_back(block->memory()->handle());
        }
        const std::uint64_t token = handles.empty() ? 0 : hand_over([&] { return link_.send(handles); });
        const std::size_t size = AttachRecord::size(entries.size());
        auto* const record = reinterpret_cast<AttachRecord*>(reserve(size).place);
        record->token = token;
        record->count = static_cast<std::uint32_t>(entries.size());
        record->handles = static_cast<std::uint32_t>(handles.size());
        std::memcpy(reinterpret_cast<std::byte*>(record + 1), entries.data(), entries.size() * sizeof(BlockEntry));
        ring_.push(RecordKind::attach, size);
        die_here(DeathPoint::result_blocks_sent);
    }
}

void ResultWriter::answer(RecordKind kind, BlockId id) noexcept {
    auto* const record = reinterpret_cast<BlockRecord*>(reserve(sizeof(BlockRecord)).place);
    record->number = static_cast<std::uint64_t>(id);
    ring_.push(kind, sizeof(BlockRecord));
    die_here(DeathPoint::block_answered);
    tell();
}

void ResultWriter::send_error() noexcept {
    try {
        HeapBuffer encoded;
        encode_current_exception(encoded, os::current_pid(), task_ != nullptr ? task_->name() : std::string());
        error_text_ = current_exception_text();
        // What the item had written so far is dropped; the items before it are sent.
        blocks_.clear();
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
    die_here(DeathPoint::single_result_complete);
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
