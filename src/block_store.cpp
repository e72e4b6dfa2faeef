#include "block_store.hpp"

#include <atomic>
#include <utility>

#include <multiproc/detail/shared_object.hpp>

#include "die_here.hpp"
#include "runtime.hpp"

namespace multiproc {
namespace {

constexpr auto stored_kind = static_cast<Arena::Kind>(detail::ObjectKind::stored_block);

// In the arena.
struct StoredBlock {
    BlockId id;
    std::uint64_t size;
    std::atomic<std::uint64_t> name;   // by which its handle is kept; 0 until it may be
    std::atomic<std::uint64_t> place;  // where; 0 until that is known
};

StoredBlock& stored_in(std::byte* payload) noexcept { return *reinterpret_cast<StoredBlock*>(payload); }

std::uint64_t take_place(StoredBlock& stored) noexcept {
    const std::uint64_t place = stored.place.exchange(0, std::memory_order_acq_rel);
    die_here(DeathPoint::block_place_taken);
    return place;
}

// By whoever frees it. After a death it may be called again: the place is taken out before it is given up, as it may be
// another's then, while a name never is.
void clear_stored(Arena&, std::byte* payload) noexcept {
    StoredBlock& stored = stored_in(payload);
    const std::uint64_t name = stored.name.load(std::memory_order_acquire);
    if (name != 0) Runtime::get().store().drop(name, take_place(stored));
    die_here(DeathPoint::block_dropped);
}

const bool is_clear_known = [] {
    Arena::set_clear(stored_kind, clear_stored);
    return true;
}();

}  // namespace

Arena::Ref store_block(Arena& arena, const detail::SharedBlock& block) {
    const os::RawHandle handle = block.memory()->handle();
    const Arena::Ref ref = Runtime::get().create_object(stored_kind, sizeof(StoredBlock));
    StoredBlock& stored = stored_in(arena.payload(ref));
    stored.id = block.id();
    stored.size = block.memory()->segment.size();
    // First, so that whoever goes on after a death knows that it may be kept.
    stored.name.store(ref.pack(), std::memory_order_release);
    die_here(DeathPoint::block_named);
    try {
        const std::uint64_t place =
            Runtime::get().store().keep(ref.pack(), static_cast<std::uint64_t>(block.id()), handle);
        die_here(DeathPoint::block_kept);
        stored.place.store(place, std::memory_order_release);
        die_here(DeathPoint::block_placed);
    } catch (...) {
        arena.release(ref);
        throw;
    }
    return ref;
}

bool is_stored_block(const Arena& arena, Arena::Ref ref) noexcept { return arena.kind(ref) == stored_kind; }

detail::BlockRef fetch_block(const Arena& arena, Arena::Ref ref) {
    const StoredBlock& stored = stored_in(arena.payload(ref));
    BlockRegistry& registry = BlockRegistry::get();
    if (detail::BlockRef known = registry.find(stored.id)) return known;
    os::Handle handle = Runtime::get().store().fetch(ref.pack(), stored.place.load(std::memory_order_acquire));
    die_here(DeathPoint::block_fetched);
    auto memory = std::make_shared<BlockMemory>();
    memory->id = stored.id;
    memory->segment = os::Segment::adopt(std::move(handle), static_cast<std::size_t>(stored.size));
    return registry.add(std::move(memory));
}

}  // namespace multiproc
