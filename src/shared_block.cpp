#include "shared_block.hpp"

#include <algorithm>
#include <random>
#include <utility>

#include <multiproc/codec.hpp>
#include <multiproc/errors.hpp>

#include "per_process.hpp"

namespace multiproc {
namespace {

constexpr std::size_t failures_kept = 64;

std::uint64_t random_number() {
    std::random_device random;
    return (std::uint64_t{random()} << 32) | random();
}

}  // namespace

BlockRegistry& BlockRegistry::get() { return of_this_process<BlockRegistry>(); }

detail::BlockRef BlockRegistry::create(std::size_t bytes, const char* what) {
    auto memory = std::make_shared<BlockMemory>();
    try {
        memory->segment = os::Segment::create(bytes);
    } catch (const std::system_error& error) {
        throw std::system_error(error.code(), "multiproc: no shared memory of " + std::to_string(bytes) +
                                                  " bytes for " + what + " (" + error.what() + ")");
    }
    memory->id = BlockId{random_number()};
    return add(std::move(memory));
}

detail::BlockRef BlockRegistry::find_locked(const BlockId& id) {
    const auto found = entries_.find(id);
    if (found == entries_.end()) return nullptr;
    if (detail::BlockRef users = found->second.users.lock()) return users;
    // Nobody here uses it at the moment, but another process may still refer to it: so its memory is kept.
    std::shared_ptr<BlockMemory> memory = found->second.memory.lock();
    if (!memory) return nullptr;
    auto users = std::make_shared<detail::SharedBlock>(std::move(memory));
    found->second.users = users;
    return users;
}

detail::BlockRef BlockRegistry::find(const BlockId& id) {
    const std::lock_guard lock(mutex_);
    return find_locked(id);
}

detail::BlockRef BlockRegistry::require(const BlockId& id) {
    const std::lock_guard lock(mutex_);
    if (detail::BlockRef block = find_locked(id)) return block;
    for (const auto& [failed, error] : failures_)
        if (failed == id) throw error;
    throw CodecError(
        "multiproc: a message names shared memory that did not come with it (a message that is encoded by hand is good "
        "for as long as its buffer lives)");
}

detail::BlockRef BlockRegistry::add(std::shared_ptr<BlockMemory> memory) {
    const std::lock_guard lock(mutex_);
    if (detail::BlockRef known = find_locked(memory->id)) return known;
    std::erase_if(failures_, [&](const auto& failure) { return failure.first == memory->id; });
    Entry& entry = entries_[memory->id];
    auto users = std::make_shared<detail::SharedBlock>(memory);
    entry.users = users;
    entry.memory = memory;
    return users;
}

void BlockRegistry::fail(const BlockId& id, const std::system_error& error) {
    const std::lock_guard lock(mutex_);
    if (failures_.size() == failures_kept) failures_.erase(failures_.begin());
    failures_.emplace_back(id, error);
}

void BlockRegistry::observe(const detail::BlockRef& block, const std::shared_ptr<BlockObserver>& observer) {
    const std::lock_guard lock(mutex_);
    Entry& entry = entries_[block->id()];
    // A copy of this process, made by fork, has the block but no entry of it.
    entry.users = block;
    entry.memory = block->memory();
    std::erase_if(entry.observers, [](const auto& known) { return known.expired(); });
    entry.observers.push_back(observer);
}

// The last user is gone, unless another has come meanwhile.
void BlockRegistry::left(const BlockId& id) noexcept {
    std::vector<std::weak_ptr<BlockObserver>> observers;
    {
        const std::lock_guard lock(mutex_);
        const auto found = entries_.find(id);
        if (found == entries_.end() || !found->second.users.expired()) return;
        observers.swap(found->second.observers);
    }
    for (const std::weak_ptr<BlockObserver>& known : observers)
        if (const auto observer = known.lock()) observer->block_unused();
}

void BlockRegistry::forget(const BlockId& id) noexcept {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(id);
    if (found != entries_.end() && found->second.memory.expired()) entries_.erase(found);
}

BlockMemory::~BlockMemory() {
    // In a copy made by fork the handle is closed already, and its number may be another's.
    if (owner != os::current_pid()) segment.disown_handle();
    BlockRegistry::get().forget(id);
}

os::RawHandle BlockMemory::handle() const {
    if (owner == os::current_pid()) return segment.handle();
    throw std::system_error(
        std::make_error_code(std::errc::operation_not_permitted),
        "multiproc: a SharedArray that this process has by being a fork of another cannot be handed on; "
        "make it an argument instead");
}

namespace detail {

SharedBlock::~SharedBlock() { BlockRegistry::get().left(memory_->id); }

BlockRef make_shared_block(std::size_t bytes) { return BlockRegistry::get().create(bytes, "a SharedArray"); }

std::byte* data_of(const SharedBlock& block) noexcept { return block.memory()->segment.data(); }

bool add_once(std::vector<Attachment>& attachments, const Attachment& attachment) {
    // From the end: who sends slices of one array after the other finds it there.
    if (std::find(attachments.rbegin(), attachments.rend(), attachment) != attachments.rend()) return false;
    if (attachments.size() == most_attachments)
        throw CodecError("multiproc: more than " + std::to_string(most_attachments) +
                         " SharedArrays and other shared objects in one call or result; put them into fewer arrays, "
                         "and slice these");
    attachments.push_back(attachment);
    return true;
}

void encode_shared_block(OutputBuffer& out, const BlockRef& block) {
    out.attach(block);
    out.write(&block->id(), sizeof(BlockId));
}

BlockRef decode_shared_block(InputBuffer& in) {
    BlockId id{};
    in.read(&id, sizeof id);
    for (const Attachment& block : in.attachments())
        if (is_block(block, id)) return std::static_pointer_cast<SharedBlock>(block);
    return BlockRegistry::get().require(id);
}

bool holds(const SharedBlock& block, std::uint64_t offset, std::uint64_t count, std::size_t element) noexcept {
    const std::uint64_t size = block.memory()->segment.size();
    return offset <= size && count <= (size - offset) / element;
}

void throw_bad_slice(const SharedBlock& block, std::uint64_t offset, std::uint64_t count, std::size_t element) {
    throw CodecError("multiproc: a message names " + std::to_string(count) + " elements of " + std::to_string(element) +
                     " bytes at offset " + std::to_string(offset) + " of a SharedArray of " +
                     std::to_string(block.memory()->segment.size()) + " bytes");
}

}  // namespace detail
}  // namespace multiproc
