// What all processes of one program share: who is there, and where they sleep.
//
// The first start of a process creates the runtime; every descendant inherits it through its bootstrap. It is one
// segment with two tables of fixed-size entries, each entry owned through one atomic word, so no death can leave a
// table half-changed. What a dead process still owns is found by the owner's index and start time, and swept when room
// is needed.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "arena.hpp"
#include "os.hpp"
#include "wait_set.hpp"

namespace multiproc {

class Runtime {
public:
    // An entry of the process table, and which of its users in turn is meant.
    struct ProcessRef {
        std::uint32_t index;
        std::uint32_t generation;
        std::uint64_t pack() const noexcept { return std::uint64_t{generation} << 32 | index; }
        static ProcessRef unpack(std::uint64_t word) noexcept {
            return {static_cast<std::uint32_t>(word), static_cast<std::uint32_t>(word >> 32)};
        }
        // In 32 bits, for words that must hold more than that; the generation's lowest `generation_bits` tell enough.
        std::uint32_t pack_short() const noexcept { return generation << index_bits | index; }
        static ProcessRef unpack_short(std::uint32_t word) noexcept {
            return {word & ((1u << index_bits) - 1), word >> index_bits};
        }
        static constexpr std::uint32_t index_bits = 12, generation_bits = 32 - index_bits;
    };

    // This process's runtime; created by the first call in a program. In a copy of the process that the host forked on
    // its own it is created anew: such a copy is a program of its own. Thread-safe. Throws std::system_error.
    static Runtime& get();
    // In a child: takes over what the bootstrap handed down. `self` is this process's entry.
    static void adopt(os::Segment segment, os::Handle arena, os::Handle store, std::vector<os::Handle> lot_handles,
                      ProcessRef self);
    // In a confined child: it shares nothing but the parking lot. It has no arena, and no children.
    static void be_alone(std::vector<os::Handle> lot_handles);
    // Throws BootstrapError in such a child.
    void require_company() const;
    static constexpr std::size_t segment_size = 256 * 1024;

    // What a child needs for `adopt`: the segment, the arena, the store's handle, then the parking lot's. Throws
    // std::system_error.
    std::vector<os::RawHandle> handles() const;
    static constexpr std::size_t handles_of_its_own = 3;  // those before the parking lot's
    os::ParkingLot& lot() noexcept { return *lot_; }
    os::HandleStore& store() noexcept { return *store_; }
    std::uint32_t self() const noexcept { return self_; }
    ProcessRef self_ref() const noexcept { return {self_, generation_}; }

    // The small objects that processes share. Mapped by the first call, as most processes need none. Thread-safe. Throws
    // std::system_error.
    Arena& arena();
    // A new object there. If there is no room, what the dead have left is given back first. Throws std::bad_alloc.
    Arena::Ref create_object(Arena::Kind kind, std::size_t bytes);
    // A child that is about to be made by fork will have copies of this process's handles: it holds what they refer to.
    void lend_object(Arena::Ref ref, ProcessRef child);

    // An entry for a process about to be started. Throws StartError when the table is full.
    ProcessRef add_process();
    // Records who lives behind the entry. Called by the process itself.
    void enter(ProcessRef process) noexcept;
    // Whether the process behind the entry still lives. Of the generation only the lowest bits count, see `pack_short`.
    bool is_alive(ProcessRef process) const noexcept;
    // The process has ended: its entry, its slots and what it held in the arena are free again.
    void remove_process(ProcessRef process) noexcept;

    // A parking slot for a thread of process `owner`. Throws StartError when all are in use.
    std::uint32_t claim_slot(std::uint32_t owner);
    void release_slot(std::uint32_t slot) noexcept;
    WaitSlot& wait_slot(std::uint32_t slot) noexcept;
    // Whether the process lives whose thread has the slot.
    bool is_slot_alive(std::uint32_t slot) const noexcept;

    // Frees what belongs to processes that are gone without anybody having noticed: their parent died as well.
    void sweep() noexcept;

    // For tests: entries and slots in use, this process's own entry included.
    std::size_t process_count() const noexcept;
    std::size_t slot_count() const noexcept;

private:
    struct Tables;
    Runtime(os::Segment segment, os::Handle arena, std::unique_ptr<os::HandleStore> store,
            std::unique_ptr<os::ParkingLot> lot);
    static bool is_object_wanted(std::uint64_t name) noexcept;
    Tables& tables() const noexcept;
    Arena& use_arena(std::unique_ptr<Arena> fresh) noexcept;
    std::optional<ProcessRef> find_process_entry() noexcept;
    void clear_entry(std::uint32_t index, std::uint64_t seen) noexcept;
    std::uint32_t find_slot(std::uint32_t owner) noexcept;

    os::Segment segment_;
    os::Handle arena_memory_;
    std::atomic<Arena*> arena_{nullptr};  // lives as long as this, which is for ever
    std::unique_ptr<os::HandleStore> store_;
    std::unique_ptr<os::ParkingLot> lot_;
    std::uint32_t self_ = 0;
    std::uint32_t generation_ = 0;
    std::uint32_t pid_ = 0;
    const Runtime* original_ = nullptr;  // of the process that this one is a copy of: kept reachable for leak checkers
};

}  // namespace multiproc
