#include "runtime.hpp"

#include <algorithm>
#include <atomic>

#include <multiproc/errors.hpp>

namespace multiproc {
namespace {

constexpr std::uint32_t process_entries = 4096;
constexpr std::uint32_t none = UINT32_MAX;

enum EntryState : std::uint32_t { vacant, starting, alive };

struct ProcessEntry {
    std::atomic<std::uint32_t> state;
    std::atomic<std::uint32_t> pid;  // while starting: of the process that made the entry
    std::atomic<std::uint64_t> start_time;
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
        runtime->self_ = runtime->add_process();
        runtime->enter(runtime->self_);
        runtime->original_ = known;
        if (!instance.compare_exchange_strong(known, runtime.get(), std::memory_order_acq_rel)) continue;
        if (known != nullptr) os::forget_launching();  // the original goes on with its own; here it is left unused
        return *runtime.release();
    }
    return *known;
}

void Runtime::adopt(os::Segment segment, std::vector<os::Handle> lot_handles, std::uint32_t self) {
    std::unique_ptr<Runtime> runtime(new Runtime(std::move(segment), os::ParkingLot::adopt(std::move(lot_handles))));
    runtime->self_ = self;
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

std::uint32_t Runtime::find_process_entry() noexcept {
    for (std::uint32_t i = 0; i < process_entries; ++i) {
        ProcessEntry& entry = tables().processes[i];
        std::uint32_t state = vacant;
        if (entry.state.load(std::memory_order_relaxed) != vacant) continue;
        if (!entry.state.compare_exchange_strong(state, starting, std::memory_order_acq_rel)) continue;
        entry.start_time.store(os::start_time(os::current_pid()), std::memory_order_relaxed);
        entry.pid.store(os::current_pid(), std::memory_order_release);
        return i;
    }
    return none;
}

std::uint32_t Runtime::add_process() {
    std::uint32_t index = find_process_entry();
    if (index == none) {
        sweep();
        index = find_process_entry();
    }
    if (index == none) throw StartError("multiproc: this program has too many processes (4096); join some first");
    return index;
}

void Runtime::enter(std::uint32_t index) noexcept {
    ProcessEntry& entry = tables().processes[index];
    entry.start_time.store(os::start_time(pid_), std::memory_order_relaxed);
    entry.pid.store(pid_, std::memory_order_relaxed);
    entry.state.store(alive, std::memory_order_release);
}

void Runtime::remove_process(std::uint32_t index) noexcept {
    for (SlotOwner& slot : tables().slots) {
        std::uint32_t owner = index + 1;
        slot.compare_exchange_strong(owner, 0, std::memory_order_acq_rel);
    }
    tables().processes[index].state.store(vacant, std::memory_order_release);
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
        if (entry.state.load(std::memory_order_acquire) == vacant) continue;
        if (!os::is_running(entry.pid.load(std::memory_order_acquire),
                            entry.start_time.load(std::memory_order_relaxed)))
            remove_process(i);
    }
}

std::size_t Runtime::process_count() const noexcept {
    return static_cast<std::size_t>(std::ranges::count_if(
        tables().processes, [](const ProcessEntry& entry) { return entry.state.load() != vacant; }));
}

std::size_t Runtime::slot_count() const noexcept {
    return static_cast<std::size_t>(
        std::ranges::count_if(tables().slots, [](const SlotOwner& owner) { return owner.load() != 0; }));
}

}  // namespace multiproc
