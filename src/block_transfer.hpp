// Shared blocks on their way between a parent and one child.
//
// A message that refers to blocks follows an `attach` record for each block that the receiver does not have. A pool's
// worker keeps the blocks its parent sent until the parent says `detach`, so that a block that goes back and forth
// costs no system call after the first time. The parent keeps a block's memory until the worker has answered: up to then
// the worker may send it back by its id alone.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <system_error>
#include <unordered_map>
#include <vector>

#include "os.hpp"
#include "ring.hpp"
#include "shared_block.hpp"

namespace multiproc {

struct BlockRecord {
    RecordWord word;
    BlockId id;
    std::uint64_t size;
    std::uint64_t token;       // by which the receiver asks for the handle...
    std::uint32_t has_handle;  // ... if it was sent along
    std::uint32_t is_kept;     // the sender keeps the block until the receiver has answered its `detach`
};

// By which the threads that drop blocks tell a pool that its workers need not keep them.
class BlockSignal {
public:
    explicit BlockSignal(std::function<void()> wake) : wake_(std::move(wake)) {}
    void raise() noexcept {
        raised_.store(true, std::memory_order_release);
        const std::lock_guard lock(mutex_);
        if (wake_) wake_();
    }
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
    // Without a signal the child keeps what it gets until its end.
    explicit BlockLedger(std::shared_ptr<BlockSignal> signal) noexcept : signal_(std::move(signal)) {}
    ~BlockLedger() {
        if (signal_) signal_->leaving -= leaving_.size();
    }
    BlockLedger(const BlockLedger&) = delete;
    BlockLedger& operator=(const BlockLedger&) = delete;

    // Sends what the child does not have. False if the ring has no room now. Throws std::system_error if a handle cannot
    // be handed over. What was sent by then counts.
    bool send(std::span<const detail::Attachment> blocks, TaskRingParent& ring, os::HandleLink& link);
    // Tells the child which blocks nobody here uses any more. Whether it was told of any.
    bool send_detached(TaskRingParent& ring);
    // Whether the child was told so of a block and has not answered.
    bool has_leaving() const noexcept { return !leaving_.empty(); }
    // The records behind `position` were taken back.
    void take_back(std::uint64_t position) noexcept;

    // Takes in a record of the result ring, if it is one about blocks. Throws CodecError for nonsense.
    bool accept(const ResultRingParent::Record& record, TaskRingParent& ring, os::HandleLink& link);
    // The blocks that a result refers to: those whose records came before it, and those of these ids, which this process
    // has. Throws std::system_error if one of the former could not be taken in, CodecError if it has none of such an id.
    void take_arrived(std::span<const std::byte> ids, std::vector<detail::Attachment>& blocks);

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
        std::shared_ptr<Known> block;
        std::uint64_t position;  // of the record that says so...
        std::uint64_t end;       // ... and behind it
    };
    void receive(const BlockRecord& record, os::HandleLink& link);

    std::shared_ptr<BlockSignal> signal_;
    std::unordered_map<BlockId, std::shared_ptr<Known>, BlockIdHash> known_;
    std::deque<Leaving> leaving_;
    std::uint64_t last_position_ = 0;  // of the last record
    std::vector<detail::Attachment> arrived_;
    std::optional<std::system_error> arrival_error_;
};

// The child's side: the blocks that its parent has sent.
class ChildBlocks {
public:
    // A block that cannot be mapped is noted with the registry, so that the call that needs it fails.
    void attach(const BlockRecord& record, os::HandleLink& link);
    void detach(const BlockId& id) noexcept { blocks_.erase(id); }
    // Whether the parent keeps this block, so that its id is enough.
    bool is_kept_by_parent(const BlockId& id) const noexcept {
        const auto found = blocks_.find(id);
        return found != blocks_.end() && found->second.is_kept;
    }

private:
    struct Block {
        detail::Attachment block;
        bool is_kept = false;
    };
    std::unordered_map<BlockId, Block, BlockIdHash> blocks_;
};

}  // namespace multiproc
