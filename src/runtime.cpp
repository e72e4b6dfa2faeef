#include "runtime.hpp"

#include <algorithm>
#include <atomic>

#include <multiproc/errors.hpp>

#include "die_here.hpp"

namespace multiproc {
namespace {

constexpr std::uint32_t process_entries = 1u << Runtime::ProcessRef::index_bits;
constexpr std::uint32_t none = UINT32_MAX;

enum class EntryState : std::uint32_t { vacant, starting, alive, leaving };

// Who has an entry, in one word, so that an entry is taken, passed on and given back by one exchange each: there is no
// moment at which a death leaves it without a name. While an entry is starting or leaving, `pid` is that of the process
// at work on it. The generation counts the users, so that a word seen earlier is never mistaken for a later one.
struct Occupant {
    std::uint32_t pid = 0;
    std::uint32_t generation = 0;  // 30 bits
    EntryState state = EntryState::vacant;

    static constexpr std::uint32_t generations = 1u << 30;
    static Occupant unpack(std::uint64_t word) noexcept {
        return {static_cast<std::uint32_t>(word >> 32), static_cast<std::uint32_t>(word) >> 2,
                static_cast<EntryState>(word & 3)};
    }
    std::uint64_t pack() const noexcept {
        return (std::uint64_t{pid} << 32) | (generation << 2) | static_cast<std::uint32_t>(state);
    }
};

struct ProcessEntry {
    std::atomic<std::uint64_t> occupant;
    std::atomic<std::uint64_t> life;    // os::note_life of a living one; 0 while nobody has entered
    std::atomic<std::uint64_t> parent;  // who started it, and takes care of the entry while it lives: a ProcessRef
    std::atomic<std::uint32_t> uses_arena;
};

// The owner's index + 1, or 0.
using SlotOwner = std::atomic<std::uint32_t>;

// Never destroyed: threads of the library may outlive main. No mutex guards it, since a copy made by fork could find
// that locked for ever.
std::atomic<Runtime*> instance{nullptr};

}  // namespace

struct Runtime::Tables {
    ProcessEntry processes[process_entries];
    SlotOwner slots[os::ParkingLot::slot_count];
    WaitSlot wait_slots[os::ParkingLot::slot_count];
};

Runtime::Runtime(os::Segment segment, os::Handle arena, std::unique_ptr<os::HandleStore> store,
                 std::unique_ptr<os::ParkingLot> lot)
    : segment_(std::move(segment)),
      arena_memory_(std::move(arena)),
      store_(std::move(store)),
      lot_(std::move(lot)),
      pid_(os::current_pid()) {
    static_assert(sizeof(Tables) <= segment_size);
}

Runtime::Tables& Runtime::tables() const noexcept {
    return *reinterpret_cast<Tables*>(segment_.data());  // all atomics of a zeroed segment: valid as they are
}

Runtime& Runtime::get() {
    Runtime* known = instance.load(std::memory_order_acquire);
    while (known == nullptr || known->pid_ != os::current_pid()) {
        std::unique_ptr<Runtime> runtime(new Runtime(os::Segment::create(segment_size), Arena::create_memory(),
                                                     os::HandleStore::create(is_object_wanted),
                                                     os::ParkingLot::create()));
        runtime->enter(runtime->add_process());
        runtime->original_ = known;
        if (!instance.compare_exchange_strong(known, runtime.get(), std::memory_order_acq_rel)) continue;
        if (known != nullptr) os::forget_launching();  // the original goes on with its own; here it is left unused
        return *runtime.release();
    }
    return *known;
}

void Runtime::adopt(os::Segment segment, os::Handle arena, os::Handle store, std::vector<os::Handle> lot_handles,
                    ProcessRef self) {
    std::unique_ptr<Runtime> runtime(new Runtime(std::move(segment), std::move(arena),
                                                 os::HandleStore::adopt(std::move(store)),
                                                 os::ParkingLot::adopt(std::move(lot_handles))));
    runtime->enter(self);
    // There is one only in a copy made by fork, and it is of the same program.
    if (const Runtime* const original = instance.load(std::memory_order_acquire); original != nullptr) {
        runtime->original_ = original;
        if (const Arena* const mapped = original->arena_.load(std::memory_order_acquire); mapped != nullptr)
            runtime->use_arena(std::make_unique<Arena>(*mapped, self.index));
    }
    instance.store(runtime.release(), std::memory_order_release);
}

void Runtime::be_alone(std::vector<os::Handle> lot_handles) {
    // Tables of its own, with nobody in them but itself.
    std::unique_ptr<Runtime> runtime(
        new Runtime(os::Segment::create(segment_size), {}, nullptr, os::ParkingLot::adopt(std::move(lot_handles))));
    runtime->segment_.drop_handle();
    runtime->enter(runtime->add_process());
    runtime->original_ = instance.load(std::memory_order_acquire);
    instance.store(runtime.release(), std::memory_order_release);
}

void Runtime::require_company() const {
    if (store_) return;
    throw BootstrapError(
        "multiproc: a worker of a sandboxed pool has no shared objects (queues, locks, values, managers) and starts no "
        "processes, in its initializer neither; what it needs comes as arguments, and what it makes goes as results");
}

std::vector<os::RawHandle> Runtime::handles() const {
    require_company();
    std::vector<os::RawHandle> all{segment_.handle(), arena_memory_.raw(), store_->handle()};
    const std::vector<os::RawHandle> lot = lot_->handles();
    all.insert(all.end(), lot.begin(), lot.end());
    return all;
}

// Whether there is an object of this name, by which its handle is kept.
bool Runtime::is_object_wanted(std::uint64_t name) noexcept {
    try {
        return get().arena().may_exist(Arena::Ref::unpack(name));
    } catch (const std::exception&) {
        return true;  // nobody knows
    }
}

Arena& Runtime::arena() {
    Arena* known = arena_.load(std::memory_order_acquire);
    if (known != nullptr) return *known;
    require_company();
    return use_arena(std::make_unique<Arena>(os::duplicate(arena_memory_.raw()), self_));
}

Arena::Ref Runtime::create_object(Arena::Kind kind, std::size_t bytes) {
    Arena& mine = arena();
    try {
        return mine.create(kind, bytes);
    } catch (const std::bad_alloc&) {
        sweep();
        mine.reclaim();
    }
    return mine.create(kind, bytes);
}

void Runtime::lend_object(Arena::Ref ref, ProcessRef child) {
    tables().processes[child.index].uses_arena.store(1, std::memory_order_release);
    die_here(DeathPoint::object_about_to_be_lent);
    arena().hold_for(ref, child.index);
    die_here(DeathPoint::object_lent);
}

Arena& Runtime::use_arena(std::unique_ptr<Arena> fresh) noexcept {
    // First, so that whoever buries this process knows that there may be something to take back.
    tables().processes[self_].uses_arena.store(1, std::memory_order_release);
    die_here(DeathPoint::arena_announced);
    Arena* known = nullptr;
    if (arena_.compare_exchange_strong(known, fresh.get(), std::memory_order_acq_rel)) return *fresh.release();
    return *known;
}

bool Runtime::is_alive(ProcessRef process) const noexcept {
    if (process.index >= process_entries) return false;
    const ProcessEntry& entry = tables().processes[process.index];
    const Occupant occupant = Occupant::unpack(entry.occupant.load(std::memory_order_acquire));
    if ((occupant.generation ^ process.generation) << (32 - ProcessRef::generation_bits) != 0 ||
        occupant.state != EntryState::alive)
        return false;
    return os::is_still_running(occupant.pid, entry.life.load(std::memory_order_relaxed));
}

std::optional<Runtime::ProcessRef> Runtime::find_process_entry() noexcept {
    for (std::uint32_t i = 0; i < process_entries; ++i) {
        std::atomic<std::uint64_t>& word = tables().processes[i].occupant;
        std::uint64_t seen = word.load(std::memory_order_relaxed);
        const Occupant before = Occupant::unpack(seen);
        if (before.state != EntryState::vacant) continue;
        const Occupant mine{os::current_pid(), (before.generation + 1) % Occupant::generations, EntryState::starting};
        if (!word.compare_exchange_strong(seen, mine.pack(), std::memory_order_acq_rel)) continue;
        die_here(DeathPoint::entry_taken);
        tables().processes[i].parent.store(self_ref().pack(), std::memory_order_relaxed);
        die_here(DeathPoint::entry_has_parent);
        return {{i, mine.generation}};
    }
    return std::nullopt;
}

Runtime::ProcessRef Runtime::add_process() {
    std::optional<ProcessRef> process = find_process_entry();
    if (!process) {
        sweep();
        process = find_process_entry();
    }
    if (!process) throw StartError("multiproc: this program has too many processes (4096); join some first");
    return *process;
}

void Runtime::enter(ProcessRef process) noexcept {
    self_ = process.index;
    generation_ = process.generation;
    ProcessEntry& entry = tables().processes[process.index];
    std::uint64_t seen = entry.occupant.load(std::memory_order_acquire);
    // If our parent has died meanwhile, the entry may have been swept and be another's now. Then this process, which is
    // about to follow its parent, leaves it alone.
    if (Occupant::unpack(seen).generation != process.generation) return;
    entry.life.store(os::note_life(), std::memory_order_relaxed);
    die_here(DeathPoint::entry_has_life);
    entry.occupant.compare_exchange_strong(seen, Occupant{pid_, process.generation, EntryState::alive}.pack(),
                                           std::memory_order_acq_rel);
    die_here(DeathPoint::entry_entered);
}

void Runtime::remove_process(ProcessRef process) noexcept {
    const std::uint64_t seen = tables().processes[process.index].occupant.load(std::memory_order_acquire);
    const Occupant occupant = Occupant::unpack(seen);
    // Somebody else may have found it dead before, and the entry may have a new user.
    if (occupant.generation == process.generation && occupant.state != EntryState::vacant)
        clear_entry(process.index, seen);
}

void Runtime::clear_entry(std::uint32_t index, std::uint64_t seen) noexcept {
    ProcessEntry& entry = tables().processes[index];
    const Occupant before = Occupant::unpack(seen);
    const Occupant leaving{pid_, before.generation, EntryState::leaving};
    // Only one process clears it; should that die on the way, the next sweep finds its pid here.
    if (!entry.occupant.compare_exchange_strong(seen, leaving.pack(), std::memory_order_acq_rel)) return;
    die_here(DeathPoint::burial_begun);
    for (SlotOwner& slot : tables().slots) {
        std::uint32_t owner = index + 1;
        if (slot.load(std::memory_order_relaxed) != owner) continue;  // an exchange is dear, and there are many slots
        tables().wait_slots[&slot - tables().slots].waits_in.store(0, std::memory_order_relaxed);
        die_here(DeathPoint::dead_waiter_removed);
        slot.compare_exchange_strong(owner, 0, std::memory_order_acq_rel);
        die_here(DeathPoint::dead_slot_given_back);
    }
    if (entry.uses_arena.load(std::memory_order_acquire) != 0) {
        try {
            arena().release_all(index);
        } catch (const std::exception&) {  // no memory for it now: the next sweep tries again
            return entry.occupant.store(Occupant{0, before.generation, EntryState::leaving}.pack(),
                                        std::memory_order_release);
        }
        die_here(DeathPoint::arena_swept);
        entry.uses_arena.store(0, std::memory_order_relaxed);
    }
    entry.life.store(0, std::memory_order_relaxed);
    die_here(DeathPoint::burial_ending);
    entry.occupant.store(Occupant{0, before.generation, EntryState::vacant}.pack(), std::memory_order_release);
    die_here(DeathPoint::entry_vacated);
}

std::uint32_t Runtime::find_slot(std::uint32_t owner) noexcept {
    for (std::uint32_t i = 0; i < os::ParkingLot::slot_count; ++i) {
        std::uint32_t free = 0;
        SlotOwner& slot = tables().slots[i];
        if (slot.load(std::memory_order_relaxed) != 0) continue;
        if (!slot.compare_exchange_strong(free, owner + 1, std::memory_order_acq_rel)) continue;
        die_here(DeathPoint::parking_slot_taken);
        return i;
    }
    return none;
}

std::uint32_t Runtime::claim_slot(std::uint32_t owner) {
    std::uint32_t slot = find_slot(owner);
    if (slot == none) {
        sweep();
        slot = find_slot(owner);
    }
    if (slot == none) {
        throw StartError("multiproc: this program has too many waiting threads (" +
                         std::to_string(os::ParkingLot::slot_count) + "); end some pools or processes first");
    }
    return slot;
}

void Runtime::release_slot(std::uint32_t slot) noexcept { tables().slots[slot].store(0, std::memory_order_release); }

WaitSlot& Runtime::wait_slot(std::uint32_t slot) noexcept { return tables().wait_slots[slot]; }

bool Runtime::is_slot_alive(std::uint32_t slot) const noexcept {
    const std::uint32_t owner = tables().slots[slot].load(std::memory_order_acquire);
    if (owner == 0) return false;
    const Occupant occupant = Occupant::unpack(tables().processes[owner - 1].occupant.load(std::memory_order_acquire));
    return is_alive({owner - 1, occupant.generation});
}

// Frees what belongs to processes that are gone without anybody having noticed: their parent died as well.
void Runtime::sweep() noexcept {
    for (std::uint32_t i = 0; i < process_entries; ++i) {
        ProcessEntry& entry = tables().processes[i];
        const std::uint64_t seen = entry.occupant.load(std::memory_order_acquire);
        const Occupant occupant = Occupant::unpack(seen);
        if (occupant.state == EntryState::vacant) continue;
        const ProcessRef parent = ProcessRef::unpack(entry.parent.load(std::memory_order_relaxed));
        if (occupant.state == EntryState::alive && parent.index != i && is_alive(parent)) continue;
        const std::uint64_t life = occupant.state == EntryState::alive ? entry.life.load(std::memory_order_relaxed) : 0;
        if (occupant.pid == 0 || !os::is_still_running(occupant.pid, life)) clear_entry(i, seen);
    }
}

std::size_t Runtime::process_count() const noexcept {
    return static_cast<std::size_t>(std::ranges::count_if(tables().processes, [](const ProcessEntry& entry) {
        return Occupant::unpack(entry.occupant.load()).state != EntryState::vacant;
    }));
}

std::size_t Runtime::slot_count() const noexcept {
    return static_cast<std::size_t>(
        std::ranges::count_if(tables().slots, [](const SlotOwner& owner) { return owner.load() != 0; }));
}

}  // namespace multiproc
