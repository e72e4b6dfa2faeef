// Items of queues on their way into shared memory and out of it.
#include <algorithm>
#include <cstring>
#include <new>
#include <system_error>
#include <utility>

#include <multiproc/detail/queue_core.hpp>
#include <multiproc/detail/shared_object.hpp>

#include "block_store.hpp"
#include "die_here.hpp"
#include "queue_state.hpp"
#include "runtime.hpp"
#include "shared_object.hpp"

namespace multiproc::detail {
namespace {

constexpr auto parcel_kind = static_cast<Arena::Kind>(ObjectKind::parcel);

// Items of more than this have memory of their own, as the arena's is for all: what that costs (a few system calls, and
// one question to the first process at each end) is little beside copying them.
constexpr std::size_t most_in_arena = 16u << 20;
// Smaller ones have it where the arena is full, unless they are so small that a descriptor is worth more than memory.
constexpr std::size_t least_in_block = 64u << 10;

BlockRef make_body(std::size_t bytes) { return BlockRegistry::get().create(bytes, "an item of a queue"); }

// Whether a message is written into this block of its own.
bool is_body(const Attachment& attachment, const std::byte* message) noexcept {
    const SharedBlock* const block = block_of(attachment);
    if (block == nullptr) return false;
    const os::Segment& segment = block->memory()->segment;
    return message >= segment.data() && message < segment.data() + segment.size();
}

}  // namespace

void QueueWriter::grow(std::size_t more) {
    const std::size_t used = size();
    if (more > SIZE_MAX / 4 || used > SIZE_MAX / 4) throw std::bad_alloc();
    const std::size_t capacity = 2 * used + more;
    const auto move_to = [&](std::byte* room) {
        std::memcpy(room, begin_, used);
        begin_ = room;
        cursor_ = begin_ + used;
        limit_ = begin_ + capacity;
    };
    if (capacity > most_in_arena) {
        try {
            // It is written where it is read, and goes along as something that the item refers to.
            Attachment body = make_body(capacity);
            std::vector<Attachment>& attached = attachment_storage();
            auto place = std::ranges::find_if(attached, [this](const auto& known) { return is_body(known, begin_); });
            if (place == attached.end()) place = attached.insert(attached.end(), nullptr);
            move_to(data_of(static_cast<SharedBlock&>(*body)));
            *place = std::move(body);
            large_.reset();
            return;
        } catch (const std::system_error&) {}  // there may be room in the arena
    }
    std::unique_ptr<std::byte[]> block(new std::byte[capacity]);
    move_to(block.get());
    large_ = std::move(block);
}

NewParcel::NewParcel(Arena& arena, const OutputBuffer& message) : arena_(arena) {
    std::span<const Attachment> attached(message.attachments());
    std::vector<Attachment> more;
    const auto body =
        std::ranges::find_if(attached, [&](const auto& known) { return is_body(known, message.bytes().data()); });
    auto number = static_cast<std::size_t>(body - attached.begin()) + 1;
    bool is_here = body == attached.end();
    const auto make = [&](std::size_t bytes) {
        ref_ = Runtime::get().create_object(parcel_kind, Parcel::size_for(attached.size(), bytes));
    };
    try {
        make(is_here ? message.size() : 0);
    } catch (const std::bad_alloc&) {
        if (!is_here || message.size() < least_in_block) throw;
        BlockRef block = make_body(message.size());
        std::memcpy(data_of(*block), message.bytes().data(), message.size());
        more.assign(attached.begin(), attached.end());
        more.push_back(std::move(block));
        attached = more;
        is_here = false;
        make(0);
    }
    auto& parcel = *reinterpret_cast<Parcel*>(arena.payload(ref_));
    parcel.size = message.size();
    parcel.references = static_cast<std::uint32_t>(attached.size());
    parcel.body = is_here ? 0 : static_cast<std::uint32_t>(number);
    if (is_here) std::memcpy(parcel.bytes(), message.bytes().data(), message.size());
    try {
        fill(parcel, attached);
    } catch (...) {
        arena.release(ref_);
        throw;
    }
}

void NewParcel::fill(Parcel& parcel, std::span<const Attachment> attached) {
    for (std::size_t i = 0; i < attached.size(); ++i) {
        Parcel::Reference& reference = *parcel.reference(i);
        if (const SharedBlock* const block = block_of(attached[i])) {
            const Arena::Ref stored = store_block(arena_, *block);
            // The parcel's before it is this process's no more, as with parcels themselves.
            reference.ref = stored.pack();
            reference.is_owned.store(1);
            die_here(DeathPoint::parcel_names_block);
            arena_.mark_owned(stored);
            arena_.release(stored);
        } else {
            reference.ref = multiproc::name_of(attached[i]).pack();
            arena_.count_up(Arena::Ref::unpack(reference.ref), ref_, reference.is_counted);
        }
    }
}

void NewParcel::hand_over(QueueSlot& slot) noexcept {
    slot.parcel.store(ref_.pack(), std::memory_order_release);
    die_here(DeathPoint::slot_names_parcel);
    arena_.mark_owned(ref_);
    arena_.release(std::exchange(ref_, {}));
}

std::vector<std::uint64_t> QueueMessage::references() const {
    std::vector<std::uint64_t> names;
    if (parcel_ == 0) return names;
    auto& parcel = *reinterpret_cast<Parcel*>(Runtime::get().arena().payload(Arena::Ref::unpack(parcel_)));
    for (std::uint32_t i = 0; i < parcel.references; ++i)
        if (i + 1 != parcel.body) names.push_back(parcel.reference(i)->ref);
    return names;
}

QueueMessage::~QueueMessage() {
    if (parcel_ != 0) Runtime::get().arena().release(Arena::Ref::unpack(parcel_));
}

void QueueMessage::take_in_blocks() {
    Arena& arena = Runtime::get().arena();
    auto& parcel = *reinterpret_cast<Parcel*>(arena.payload(Arena::Ref::unpack(parcel_)));
    for (std::uint32_t i = 0; i < parcel.references; ++i) {
        if (parcel.reference(i)->is_owned.load(std::memory_order_acquire) == 0) continue;
        const BlockRef block = fetch_block(arena, Arena::Ref::unpack(parcel.reference(i)->ref));
        blocks_.push_back(block);
        if (i + 1 != parcel.body) continue;
        data_ = data_of(*block);
        size_ = static_cast<std::size_t>(std::min<std::uint64_t>(parcel.size, block->memory()->segment.size()));
    }
}

}  // namespace multiproc::detail
