// The shared memory between a parent and one child: a control block and two rings.
//
// The segment is made by the parent and mapped by these two processes only. Layout: ControlBlock, start information,
// task ring, result ring, each at an offset that the control block names.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include <multiproc/exit_status.hpp>

#include "die_here.hpp"
#include "doorbell.hpp"
#include "os.hpp"
#include "ring.hpp"

namespace multiproc {

enum class Role : std::uint32_t { process, pool_worker };

// How far a child has come. Written by the child, in this order.
enum class Phase : std::uint32_t {
    launched,     // nothing heard of it yet
    wrong_build,  // it runs another build of the program than its parent, and left
    arrived,      // freeze_support() was reached
    running,      // user code runs
};

struct ControlBlock {
    std::uint64_t magic;
    std::uint64_t size;  // of the whole segment
    Role role;
    std::uint32_t process_index;       // in the runtime's table
    std::uint32_t process_generation;  // of that entry
    std::uint32_t parent_pid;
    std::uint32_t child_slot;   // where the child sleeps
    std::uint32_t waiter_slot;  // where threads of the parent sleep, see Doorbell
    std::uint32_t service_slot;
    std::uint32_t spins;  // 1: there are processors enough to look for a task for a while before sleeping
    std::uint64_t info_offset, info_size;
    std::uint64_t tasks_offset, tasks_capacity;
    std::uint64_t results_offset, results_capacity;
    TaskRingHeader tasks;
    ResultRingHeader results;
    alignas(cache_line) std::atomic<std::uint32_t> asleep;  // 1: the child sleeps, or is about to
    std::atomic<std::uint32_t> phase;
    // Which watched call it runs, and since when (nanoseconds of the steady clock, stored first).
    std::atomic<std::uint64_t> running;
    std::atomic<std::uint64_t> running_since;
    // The child's own word on its end: kind and number of an ExitStatus, 0 if it said nothing.
    std::atomic<std::uint64_t> exit;
    // 1: it has sent objects that it holds, so what it holds stays held until its results were taken.
    std::atomic<std::uint32_t> lends_objects;
};

// What a child must know before it can run anything; encoded behind the control block.
struct StartInfo {
    std::string name;
    std::string parent_name;
    bool daemon = false;
    StartMethod start_method = StartMethod::automatic;  // for its own children
    std::string executable_build;        // empty: the child is meant to be another executable (set_executable)
    std::string executable_path;         // of the parent, where it differs from the child's
    std::uint32_t threads = 0;           // share of the processors; 0: all
    std::uint32_t thread_variables = 0;  // see given_thread_variables
    std::uint64_t memory_limit = 0;      // bytes; 0: none
    bool is_confined = false;            // it works in a sandbox
};

struct ChannelSizes {
    std::size_t tasks;
    std::size_t results;
};

class Channel {
public:
    Channel() = default;
    static Channel create(Role role, ChannelSizes sizes, const StartInfo& info);
    // In the child. Throws BootstrapError if this is no channel of this library's version.
    static Channel adopt(os::Handle handle);

    ControlBlock& control() const noexcept { return *reinterpret_cast<ControlBlock*>(segment_.data()); }
    os::RawHandle handle() const noexcept { return segment_.handle(); }
    StartInfo info() const;

    TaskRingParent task_parent() const noexcept;
    TaskRingWorker task_worker() const noexcept;
    ResultRingParent result_parent() const noexcept;
    ResultRingWorker result_worker() const noexcept;

    // Parent: where the child will sleep. To be set before the child starts.
    void set_child_slot(std::uint32_t slot) noexcept { child_slot_ = control().child_slot = slot; }
    // Parent: wakes the child if it sleeps. Call after the store it is to see.
    void wake_child(os::ParkingLot& lot) noexcept;
    // Child: sleeps until `wake_child`, unless `has_work()` turns out true.
    template <class HasWork>
    void sleep_child(os::ParkingLot& lot, HasWork has_work) noexcept {
        std::atomic<std::uint32_t>& asleep = control().asleep;
        asleep.store(1, std::memory_order_relaxed);
        die_here(DeathPoint::child_falls_asleep);
        std::atomic_thread_fence(std::memory_order_seq_cst);  // mirrored in wake_child: one of us sees the other
        while (asleep.load(std::memory_order_relaxed) != 0 && !has_work()) lot.park(child_slot_, asleep, 1, os::never);
        die_here(DeathPoint::child_woken);
        asleep.store(0, std::memory_order_relaxed);
    }

    bool is_child_asleep() const noexcept { return control().asleep.load(std::memory_order_relaxed) != 0; }

    Phase phase() const noexcept { return static_cast<Phase>(control().phase.load(std::memory_order_acquire)); }
    void set_phase(Phase phase) noexcept {
        control().phase.store(static_cast<std::uint32_t>(phase), std::memory_order_release);
        die_here(DeathPoint::child_phase_told);
    }
    // What the child said about its own end.
    ExitStatus said_exit() const noexcept;
    void say_exit(ExitStatus status) noexcept;

private:
    RingMemory task_memory() const noexcept;
    RingMemory result_memory() const noexcept;

    os::Segment segment_;
    std::uint32_t child_slot_ = 0;  // a copy: the parent does not trust what the child could have changed
};

}  // namespace multiproc
