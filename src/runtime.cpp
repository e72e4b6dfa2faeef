#include "runtime.hpp"

#include <algorithm>
#include <atomic>

#include <multiproc/errors.hpp>

namespace multiproc {
namespace {

constexpr std::uint32_t process_entries = 4096;
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
    std::atomic<std::uint64_t> life;  // os::note_life of a living one; 0 while nobody has entered
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
};

Runtime::Runtime(os::Segment segment, std::unique_ptr<os::ParkingLot> lot)
    : segment_(std::move(segment)), lot_(std::move(lot)), pid_(os::current_pid()) {
    static_assert(sizeof(Tables) <= segment_size);
}

Runtime::Tables& Runtime::tables() const noexcept {
    return *reinterpret_cast<Tables*>(segment_.data());  // all atomics of a zeroed segment: valid as they are
}

Runtime& Runtime::get() {
    Runtime* known = instance.load(std::memory_order_acquire);
    while (known == nullptr || known->pid_ != os::current_pid()) {
        std::unique_ptr<Runtime> runtime(new Runtime(os::Segment::create(segment_size), os::ParkingLot::create()));
        runtime->enter(runtime->add_process());
        runtime->original_ = known;
        if (!instance.compare_exchange_strong(known, runtime.get(), std::memory_order_acq_rel)) continue;
        if (known != nullptr) os::forget_launching();  // the original goes on with its own; here it is left unused
        return *runtime.release();
    }
    return *known;
}

void Runtime::adopt(os::Segment segment, std::vector<os::Handle> lot_handles, ProcessRef self) {
    std::unique_ptr<Runtime> runtime(new Runtime(std::move(segment), os::ParkingLot::adopt(std::move(lot_handles))));
    runtime->enter(self);
    runtime->original_ = instance.load(std::memory_order_acquire);
    instance.store(runtime.release(), std::memory_order_release);
}

std::vector<os::RawHandle> Runtime::handles() const {
    std::vector<os::RawHandle> all{segment_.handle()};
    const std::vector<os::RawHandle> lot = lot_->handles();
    all.insert(all.end(), lot.begin(), lot.end());
    return all;
}

std::optional<Runtime::ProcessRef> Runtime::find_process_entry() noexcept {
    for (std::uint32_t i = 0; i < process_entries; ++i) {
        std::atomic<std::uint64_t>& word = tables().processes[i].occupant;
        std::uint64_t seen = word.load(std::memory_order_relaxed);
        const Occupant before = Occupant::unpack(seen);
        if (before.state != EntryState::vacant) continue;
        const Occupant mine{os::current_pid(), (before.generation + 1) % Occupant::generations, EntryState::starting};
        if (word.compare_exchange_strong(seen, mine.pack(), std::memory_order_acq_rel)) return {{i, mine.generation}};
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
    ProcessEntry& entry = tables().processes[process.index];
    std::uint64_t seen = entry.occupant.load(std::memory_order_acquire);
    // If our parent has died meanwhile, the entry may have been swept and be another's now. Then this process, which is
    // about to follow its parent, leaves it alone.
    if (Occupant::unpack(seen).generation != process.generation) return;
    entry.life.store(os::note_life(), std::memory_order_relaxed);
    entry.occupant.compare_exchange_strong(seen, Occupant{pid_, process.generation, EntryState::alive}.pack(),
                                           std::memory_order_acq_rel);
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
    for (SlotOwner& slot : tables().slots) {
        std::uint32_t owner = index + 1;
        if (slot.load(std::memory_order_relaxed) != owner) continue;  // an exchange is dear, and there are many slots
        slot.compare_exchange_strong(owner, 0, std::memory_order_acq_rel);
    }
    entry.life.store(0, std::memory_order_relaxed);
    entry.occupant.store(Occupant{0, before.generation, EntryState::vacant}.pack(), std::memory_order_release);
}

std::uint32_t Runtime::find_slot(std::uint32_t owner) noexcept {
    for (std::uint32_t i = 0; i < os::ParkingLot::slot_count; ++i) {
        std::uint32_t free = 0;
        SlotOwner& slot = tables().slots[i];
        if (slot.load(std::memory_order_relaxed) != 0) continue;
        if (slot.compare_exchange_strong(free, owner + 1, std::memory_order_acq_rel)) return i;
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

// Frees what belongs to processes that are gone without anybody having noticed: their parent died as well.
void Runtime::sweep() noexcept {
    for (std::uint32_t i = 0; i < process_entries; ++i) {
        ProcessEntry& entry = tables().processes[i];
        const std::uint64_t seen = entry.occupant.load(std::memory_order_acquire);
        const Occupant occupant = Occupant::unpack(seen);
        if (occupant.state == EntryState::vacant) continue;
        const std::uint64_t life = occupant.state == EntryState::alive ? entry.life.load(std::memory_order_relaxed) : 0;
        if (!os::is_still_running(occupant.pid, life)) clear_entry(i, seen);
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
