#include "queue_state.hpp"

#include <multiproc/detail/shared_object.hpp>

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
        // What is the parcel's own can be let go of twice, as after a death; so that comes before it is noted.
        if (reference.hold.load() == Parcel::owns) arena.release_owned(ref);
        if (reference.hold.exchange(Parcel::none) == Parcel::counts) arena.count_down(ref);
    }
}
void clear_ring(Arena& arena, std::byte* payload) noexcept {
    reinterpret_cast<QueueRing*>(payload)->for_each_parcel([&](Arena::Ref parcel) { arena.release_owned(parcel); });
}
// From the first ring on. Each names the next, so that is read before it goes.
void clear_queue(Arena& arena, std::byte* payload) noexcept {
    std::uint64_t name = queue_in(payload).first.exchange(0);
    while (name != 0) {
        const Arena::Ref ring = Arena::Ref::unpack(name);
        name = reinterpret_cast<QueueRing*>(arena.payload(ring))->next.load();
        arena.release_owned(ring);
    }
}

const bool are_clears_known = [] {
    Arena::set_clear(parcel_kind, clear_parcel);
    Arena::set_clear(ring_kind, clear_ring);
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
