#include "queue_state.hpp"

#include <multiproc/detail/shared_object.hpp>

#include "die_here.hpp"
#include "runtime.hpp"

namespace multiproc::detail {
namespace {

constexpr auto parcel_kind = static_cast<Arena::Kind>(ObjectKind::parcel);
constexpr auto ring_kind = static_cast<Arena::Kind>(ObjectKind::queue_ring);
constexpr auto queue_kind = static_cast<Arena::Kind>(ObjectKind::queue);

void clear_parcel(Arena& arena, std::byte* payload) noexcept {
    auto& parcel = *reinterpret_cast<Parcel*>(payload);
    for (std::uint32_t i = 0; i < parcel.references; ++i) {
        Parcel::Reference& reference = *parcel.reference(i);
        const Arena::Ref ref = Arena::Ref::unpack(reference.ref);
        // What is the parcel's own can be let go of twice, as after a death.
        if (reference.is_owned.load(std::memory_order_acquire) != 0) arena.release_owned(ref);
        if (reference.is_counted.load(std::memory_order_acquire) != 0)
            arena.count_down(ref, arena.ref_of(payload), reference.is_counted);
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
    die_here(DeathPoint::unlinked_ring_found);
    if (!is_linked) arena.release_owned(ref);  // the sweep itself holds it for the dead process still
    ring.linker.store(0, std::memory_order_seq_cst);
}
// From the first ring on. Each names the next, so that is read before it goes; and it is named as leaving until it is gone,
// so that whoever goes on after a death finds either of the two.
void clear_queue(Arena& arena, std::byte* payload) noexcept {
    QueueState& queue = queue_in(payload);
    const std::uint64_t left = queue.leaving.load(std::memory_order_acquire);
    if (left != 0 && left != queue.first.load(std::memory_order_acquire)) arena.release_owned(Arena::Ref::unpack(left));
    while (const std::uint64_t name = queue.first.load(std::memory_order_acquire)) {
        const Arena::Ref ref = Arena::Ref::unpack(name);
        if (!arena.exists(ref)) return;  // a sweep has come to it first, as its maker had not said whose it is
        const QueueRing& ring = *reinterpret_cast<QueueRing*>(arena.payload(ref));
        // Who made this one the first may have died before it let go of the one before.
        if (const std::uint64_t previous = ring.previous.load(std::memory_order_acquire); previous != 0)
            arena.release_owned(Arena::Ref::unpack(previous));
        queue.leaving.store(name, std::memory_order_release);
        die_here(DeathPoint::queue_ring_leaving);
        queue.first.store(ring.next.load(std::memory_order_acquire), std::memory_order_release);
        die_here(DeathPoint::queue_ring_unnamed);
        arena.release_owned(ref);
        die_here(DeathPoint::queue_ring_released);
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

}  // namespace multiproc::detail
