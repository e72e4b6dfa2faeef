// Shared blocks on their way between a parent and one child.
//
// A message that refers to blocks follows `attach` records for those that the receiver does not have. A child keeps the
// blocks its parent sent until the parent says `detach`, so that a block that goes back and forth costs no system call
// after the first time. The parent keeps a block's memory until the child has answered: up to then the child may send it
// back by its id alone.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <system_error>
#include <unordered_map>
#include <utility>
#include <vector>

#include "os.hpp"
#include "ring.hpp"
#include "shared_block.hpp"

namespace multiproc {

// Behind it: `count` BlockEntries. The handles of those that have one are sent in this order.
struct AttachRecord {
    RecordWord word;
    std::uint64_t token;  // of the handles
    std::uint32_t count;
    std::uint32_t handles;

    // Of one record: as many as their handles can be sent at once.
    static constexpr std::size_t most_blocks = os::HandleLink::most_handles;
    static constexpr std::size_t size(std::size_t count) noexcept;
};
struct BlockEntry {
    BlockId id;
    std::uint64_t size;                                     // 0: the receiver has it
    static constexpr std::uint64_t is_object = UINT64_MAX;  // no block: the id is the name of an object
};
constexpr std::size_t AttachRecord::size(std::size_t count) noexcept {
    return sizeof(AttachRecord) + count * sizeof(BlockEntry);
}
// Of the kinds detach and refuse; and of discard, where the number is the last token.
struct BlockRecord {
    RecordWord word;
    std::uint64_t number;
};

// By which the threads that drop blocks tell a pool that its workers need not keep them.
class BlockSignal {
public:
    explicit BlockSignal(std::function<void()> wake) : wake_(std::move(wake)) {}
    void raise() noexcept {
        raise_quietly();
        const std::lock_guard lock(mutex_);
        if (wake_) wake_();
    }
    // For what can wait until somebody comes by.
    void raise_quietly() noexcept { raised_.store(true, std::memory_order_release); }
    // Whether it was raised since the last call.
    bool take() noexcept {
        return raised_.load(std::memory_order_relaxed) && raised_.exchange(false, std::memory_order_acq_rel);
    }
    // How many blocks workers were told to let go of and have not: their answers are awaited.
    std::atomic<std::size_t> leaving{0};
    // After this nobody is woken any more.
    void disconnect() noexcept {
        const std::lock_guard lock(mutex_);
        wake_ = nullptr;
    }

private:
    std::atomic<bool> raised_{false};
    std::mutex mutex_;
    std::function<void()> wake_;
};

// The parent's side: which blocks one child has.
class BlockLedger {
public:
    // Without a signal the child keeps what it gets until its end, and whoever starts it holds the blocks so long.
    explicit BlockLedger(std::shared_ptr<BlockSignal> signal) noexcept : signal_(std::move(signal)) {}
    ~BlockLedger() {
        if (signal_) signal_->leaving -= leaving_.size();
    }
    BlockLedger(const BlockLedger&) = delete;
    BlockLedger& operator=(const BlockLedger&) = delete;

    // Sends what the child does not have. False if the ring has no room now. Throws std::system_error if handles cannot be
    // handed over now. What was sent by then counts.
    bool send(std::span<const detail::Attachment> blocks, TaskRingParent& ring, os::HandleLink& link);
    // Tells the child which blocks nobody here uses any more. Whether it was told of any.
    bool send_detached(TaskRingParent& ring);
    // The records behind `position` were taken back.
    void take_back(std::uint64_t position, TaskRingParent& ring) noexcept;
    // Whether the child was told to let go of a block and has not answered.
    bool has_leaving() const noexcept { return !leaving_.empty(); }

    // Takes in a record of the result ring, if it is one about blocks. Throws CodecError or std::system_error for what
    // only a broken child sends.
    bool accept(const ResultRingParent::Record& record, TaskRingParent& ring, os::HandleLink& link);
    // The blocks whose records came since the last call: the next result refers to them. Throws std::system_error if one
    // of them could not be taken in.
    std::vector<detail::Attachment> take_arrived();
    // Whether there were objects among them since the last call.
    bool take_borrowed() noexcept { return std::exchange(has_borrowed_, false); }

private:
    // A block that the child has, or that is before it in the ring.
    struct Known final : BlockObserver {
        Known(std::shared_ptr<BlockMemory> of, std::uint64_t at, std::shared_ptr<BlockSignal> told)
            : memory(std::move(of)), position(at), signal(std::move(told)) {}
        void block_unused() noexcept override {
            is_unused.store(true, std::memory_order_release);
            signal->raise();
        }
        const std::shared_ptr<BlockMemory> memory;  // null without a signal
        const std::uint64_t position;               // of the record, in the ring
        const std::shared_ptr<BlockSignal> signal;
        std::atomic<bool> is_unused{false};
    };
    struct Leaving {
        BlockId id;
        std::shared_ptr<Known> block;
        std::uint64_t position;  // of the record that says so...
        std::uint64_t end;       // ... and behind it
        bool is_refused = false;
    };
    bool send_some(std::span<const detail::BlockRef> blocks, TaskRingParent& ring, os::HandleLink& link);
    void send_discard(TaskRingParent& ring) noexcept;
    void receive(const ResultRingParent::Record& record, os::HandleLink& link);
    bool forget_refused(BlockId id) noexcept;

    std::shared_ptr<BlockSignal> signal_;
    std::unordered_map<BlockId, std::shared_ptr<Known>> known_;
    std::deque<Leaving> leaving_;
    std::uint64_t last_position_ = 0;        // of the last record about blocks
    std::uint64_t last_token_ = 0;           // that was sent
    std::optional<std::uint64_t> orphaned_;  // the last token that no record names any more
    std::vector<detail::Attachment> arrived_;
    std::optional<std::system_error> arrival_error_;
    bool has_borrowed_ = false;
};

// The child's side: the blocks that its parent has sent.
class ChildBlocks {
public:
    // Returns those that could not be taken in. That is noted with the registry, so that the call that needs one fails.
    std::vector<BlockId> attach(const AttachRecord& record, os::HandleLink& link);
    void detach(BlockId id) noexcept;
    // Those that came last: where a call's arguments look first, as it costs less than to ask the registry.
    std::span<const detail::Attachment> recent() const noexcept { return recent_; }
    // Whether the parent keeps this block, so that its id is enough.
    bool is_kept_by_parent(BlockId id) const noexcept { return blocks_.contains(id); }

private:
    static constexpr std::size_t most_recent = 4;

    std::unordered_map<BlockId, detail::Attachment> blocks_;
    std::vector<detail::Attachment> recent_;
};

}  // namespace multiproc
