// Memory that several processes share, and who in this process uses it.
//
// A block is known by an id that no other block of this machine has. Messages carry the id; the handle goes with the
// first message to a process, and is kept there as long as anybody needs it (see block_transfer.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <system_error>
#include <unordered_map>
#include <vector>

#include <multiproc/detail/shared_block.hpp>

#include "os.hpp"
#include "shared.hpp"

namespace multiproc {

// A number that no process can come to by accident but by being told.
enum class BlockId : std::uint64_t {};

struct BlockMemory {
    BlockMemory() = default;
    ~BlockMemory();
    BlockMemory(const BlockMemory&) = delete;
    BlockMemory& operator=(const BlockMemory&) = delete;

    // To be handed on. Throws std::system_error in a copy of the process, made by fork, that has the memory but none of
    // the library's handles.
    os::RawHandle handle() const;

    BlockId id{};
    os::Segment segment;
    const std::uint32_t owner = os::current_pid();
};

// Of one message. Each takes a descriptor at both ends, of which a process has 1024 on many systems.
inline constexpr std::size_t most_attachments = 1000;

namespace detail {

// One for all users of a block in this process: arrays, and messages on their way.
class SharedBlock final : public Shared {
public:
    explicit SharedBlock(std::shared_ptr<BlockMemory> memory) noexcept
        : Shared(Kind::block), memory_(std::move(memory)) {}
    ~SharedBlock();

    const BlockId& id() const noexcept { return memory_->id; }
    const std::shared_ptr<BlockMemory>& memory() const noexcept { return memory_; }

private:
    std::shared_ptr<BlockMemory> memory_;
};

// Null if it is something else.
inline const SharedBlock* block_of(const Attachment& attachment) noexcept {
    return attachment->kind() == Shared::Kind::block ? static_cast<const SharedBlock*>(attachment.get()) : nullptr;
}
inline bool is_block(const Attachment& attachment, BlockId id) noexcept {
    const SharedBlock* const block = block_of(attachment);
    return block != nullptr && block->id() == id;
}

}  // namespace detail

// Told when the last user of a block in this process is gone, once, from that user's thread. By then there may be
// another.
class BlockObserver {
public:
    virtual void block_unused() noexcept = 0;

protected:
    ~BlockObserver() = default;
};

// The blocks of this process. Thread-safe.
class BlockRegistry {
public:
    static BlockRegistry& get();

    // `what` it is for is said in the error. Throws std::system_error.
    detail::BlockRef create(std::size_t bytes, const char* what);
    // The block of this id, if this process has it; else null.
    detail::BlockRef find(const BlockId& id);
    // The same; throws the error that `fail` noted, or CodecError.
    detail::BlockRef require(const BlockId& id);
    // Makes memory that has arrived known. Another mapping of the same block is preferred.
    detail::BlockRef add(std::shared_ptr<BlockMemory> memory);
    // The block was sent here, but could not be mapped.
    void fail(const BlockId& id, const std::system_error& error);
    void observe(const detail::BlockRef& block, const std::shared_ptr<BlockObserver>& observer);

private:
    friend class detail::SharedBlock;
    friend struct BlockMemory;
    struct Entry {
        std::weak_ptr<detail::SharedBlock> users;
        std::weak_ptr<BlockMemory> memory;
        std::vector<std::weak_ptr<BlockObserver>> observers;
    };
    detail::BlockRef find_locked(const BlockId& id);
    void left(const BlockId& id) noexcept;
    void forget(const BlockId& id) noexcept;

    std::mutex mutex_;
    std::unordered_map<BlockId, Entry> entries_;
    std::vector<std::pair<BlockId, std::system_error>> failures_;  // the last few
};

}  // namespace multiproc
