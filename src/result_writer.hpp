// Writes the results of a run straight into the result ring.
//
// One record holds as many items as fit. It is open while items are added: its `progress` word tells how much of it is
// complete, so if this process dies the parent still gets every item that was finished. An item that outgrows what a
// ring record may hold moves into a segment.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include <multiproc/detail/task.hpp>

#include "block_transfer.hpp"
#include "channel.hpp"
#include "doorbell.hpp"
#include "segment_cache.hpp"
#include "task_ref.hpp"

namespace multiproc {

class ResultWriter final : public detail::TaskRun, private OutputBuffer {
public:
    // `tasks`: where the next call will come from. `blocks`: what the parent has sent.
    ResultWriter(Channel& channel, TaskRingWorker& tasks, os::HandleLink& link, Doorbell doorbell,
                 const ChildBlocks& blocks);

    // `flags`: of CallRecord.
    void begin_call(std::uint64_t id, std::uint32_t items, std::uint32_t flags);
    void set_task(const ResolvedTask& task) noexcept { task_ = &task; }
    // Sends what was not sent yet.
    void end_call();
    // Fails item `first` and all behind it with the exception being handled.
    void fail_all() noexcept;
    // Between calls: tells the parent that a block it named is not kept any more, or cannot be taken in.
    void answer(RecordKind kind, BlockId id) noexcept;

    // Lets go of what it sent and the parent holds now. To be called now and then.
    void take_back_loans() noexcept;
    bool has_ended_loan() const noexcept { return !lent_.empty() && ring_.is_taken(lent_.front().end); }

    // Type and text of the last exception of this call; empty if there was none.
    const std::string& error_text() const noexcept { return error_text_; }

private:
    void send_results() override;  // called when an item is done that travels alone: in a segment, or with blocks
    void send_error() noexcept override;
    void grow(std::size_t more) override;
    void attach(const detail::Attachment& block) override;

    void open(std::size_t bytes);
    void close_record() noexcept;
    ResultRingWorker::Room reserve(std::size_t size);
    ResultRecord* reserve_record(std::size_t payload, std::size_t& room);
    void set_item_aside();
    void continue_item(std::size_t more);
    void move_into_segment(std::size_t bytes);
    void name_block() noexcept;
    void send_blocks();
    void begin_record(ResultRecord* record, std::uint32_t form) const noexcept;
    void push(ResultRecord* record, std::size_t payload) noexcept;
    void send_record() noexcept;
    void send_spilled();
    void lend_objects();
    void end_loan() noexcept;
    template <class Send>
    auto hand_over(Send send);
    SegmentRef refer(const SegmentLease& lease, std::size_t bytes);
    void send_single(std::uint32_t form, std::span<const std::byte> payload, std::size_t bytes);
    void write_error(std::span<const std::byte> encoded);
    void tell() noexcept;

    Channel& channel_;
    os::HandleLink& link_;
    os::ParkingLot& lot_;
    Doorbell doorbell_;
    ResultRingWorker ring_;
    const TaskRingWorker* tasks_;
    const ChildBlocks& known_blocks_;
    const bool is_read_;  // while this process runs; else its parent reads when it has ended
    SegmentSource segments_;
    SegmentPeer parent_;

    ResultRecord* record_ = nullptr;                 // the open record
    SegmentLease lease_;                             // the item at hand, if it has outgrown the ring
    std::atomic<std::uint64_t> unseen_progress_{0};  // progress of an item that is not in the ring
    std::vector<std::byte> moving_;                  // an unfinished item on its way to another place
    std::vector<detail::Attachment> blocks_;         // that the item at hand refers to...
    std::size_t block_offset_ = 0;                   // ... and where in it the id of the first is
    struct Lent {
        std::uint64_t end;  // behind the record, in the ring
        std::vector<detail::Attachment> objects;
    };
    std::deque<Lent> lent_;
    std::uint64_t id_ = 0;
    std::uint32_t first_ = 0;             // index of the open record's first item
    std::uint64_t begun_ = 0;             // nanoseconds of the steady clock, if the call is timed or watched
    const ResolvedTask* task_ = nullptr;  // null until the task was found
    std::string error_text_;
};

}  // namespace multiproc
