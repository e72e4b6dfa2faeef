#include "queue_state.hpp"

#include <cstring>
#include <utility>

#include <multiproc/detail/shared_object.hpp>
#include <multiproc/errors.hpp>

#include "runtime.hpp"
#include "shared_object.hpp"

namespace multiproc::detail {
namespace {

constexpr auto parcel_kind = static_cast<Arena::Kind>(ObjectKind::parcel);
constexpr auto ring_kind = static_cast<Arena::Kind>(ObjectKind::queue_ring);
constexpr auto queue_kind = static_cast<Arena::Kind>(ObjectKind::queue);

void clear_parcel(Arena& arena, std::byte* payload) noexcept {
    auto& parcel = *reinterpret_cast<Parcel*>(payload);
    for (std::uint32_t i = 0; i < parcel.references; ++i) {
        Parcel::Reference& reference = *parcel.reference(i);
        if (reference.is_counted.load(std::memory_order_acquire) != 0)
            arena.count_down(Arena::Ref::unpack(reference.ref), arena.ref_of(payload), reference.is_counted);
    }
}
Arena::Note* note_in_parcel(std::byte* payload, Arena::Ref ref) noexcept {
    auto& parcel = *reinterpret_cast<Parcel*>(payload);
    for (std::uint32_t i = 0; i < parcel.references; ++i)
        if (parcel.reference(i)->ref == ref.pack()) return &parcel.reference(i)->is_counted;
    return nullptr;
}
void clear_ring(Arena& arena, std::byte* payload) noexcept {
    reinterpret_cast<QueueRing*>(payload)->for_each_parcel([&](Arena::Ref parcel) { arena.release_owned(parcel); });
}
// A dead process was about to link the ring: nobody else will, so if it is not the next of the one before, it never will be
// anything. Whoever goes on to it takes the mark away first and lets go of the one before only then: so while the mark is
// there, so is that one, if the ring is its next.
void sweep_ring(Arena& arena, Arena::Ref ref, std::uint32_t process) noexcept {
    auto& ring = *reinterpret_cast<QueueRing*>(arena.payload(ref));
    if (ring.linker.load(std::memory_order_seq_cst) != process + 1) return;
    const Arena::Ref before = Arena::Ref::unpack(ring.previous.load(std::memory_order_acquire));
    const bool is_linked =
        arena.exists(before) &&
        reinterpret_cast<QueueRing*>(arena.payload(before))->next.load(std::memory_order_seq_cst) == ref.pack();
    if (ring.linker.load(std::memory_order_seq_cst) != process + 1) return;
    if (!is_linked) arena.release_owned(ref);  // the sweep itself holds it for the dead process still
    ring.linker.store(0, std::memory_order_seq_cst);
}
// From the first ring on. Each names the next, so that is read before it goes.
void clear_queue(Arena& arena, std::byte* payload) noexcept {
    std::uint64_t name = queue_in(payload).first.exchange(0);
    while (name != 0) {
        const Arena::Ref ring = Arena::Ref::unpack(name);
        if (!arena.exists(ring)) return;  // a sweep has come to it first, as its maker had not said whose it is
        name = reinterpret_cast<QueueRing*>(arena.payload(ring))->next.load();
        arena.release_owned(ring);
    }
}

const bool are_clears_known = [] {
    Arena::set_clear(parcel_kind, clear_parcel);
    Arena::set_find_note(parcel_kind, note_in_parcel);
    Arena::set_clear(ring_kind, clear_ring);
    Arena::set_sweep(ring_kind, sweep_ring);
    Arena::set_clear(queue_kind, clear_queue);
    return true;
}();

}  // namespace

Arena::Ref make_ring(Arena& arena, std::uint32_t capacity, std::uint32_t limit, std::uint32_t stride) {
    const Arena::Ref ref = Runtime::get().create_object(ring_kind, QueueRing::bytes_for(capacity, stride));
    reinterpret_cast<QueueRing*>(arena.payload(ref))->set_up(capacity, limit, stride);
    return ref;
}

NewParcel::NewParcel(Arena& arena, const OutputBuffer& message) : arena_(arena) {
    for (const Attachment& shared : message.attachments()) {
        if (shared->kind() == Shared::Kind::object) continue;
        throw CodecError(
            "multiproc: a SharedArray cannot go through a queue; make it an argument of the process or task");
    }
    const std::size_t references = message.attachments().size();
    ref_ = Runtime::get().create_object(parcel_kind, Parcel::size_for(references, message.size()));
    auto& parcel = *reinterpret_cast<Parcel*>(arena.payload(ref_));
    parcel.size = message.size();
    parcel.references = static_cast<std::uint32_t>(references);
    for (std::size_t i = 0; i < references; ++i) {
        Parcel::Reference& reference = *parcel.reference(i);
        reference.ref = multiproc::name_of(message.attachments()[i]).pack();
        arena.count_up(Arena::Ref::unpack(reference.ref), ref_, reference.is_counted);
    }
    std::memcpy(parcel.bytes(), message.bytes().data(), message.size());
}

void NewParcel::hand_over(QueueSlot& slot) noexcept {
    slot.parcel.store(ref_.pack(), std::memory_order_release);
    arena_.mark_owned(ref_);
    arena_.release(std::exchange(ref_, {}));
}

}  // namespace multiproc::detail
