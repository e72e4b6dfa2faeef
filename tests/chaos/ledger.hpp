// What happened in a round, in memory that the driver shares with the whole family of processes and that owes nothing to
// the library. Everything in it is atomic, as each process may be killed at any instruction.
//
// A mark is kept for each operation that must happen a number of times at most: for a task, how often it was begun; for an
// item of a queue, how often it came out.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

namespace chaos {

enum class Operation : std::uint8_t { task, item, array, lock, sync, message, call, process };
inline constexpr std::size_t operation_kinds = 8;
const char* name_of(Operation operation) noexcept;

// What must be zero.
enum class Failure : std::uint8_t { lost, twice, hung, left_behind, wrong };
inline constexpr std::size_t failure_kinds = 5;
const char* name_of(Failure failure) noexcept;

class Ledger {
public:
    static constexpr std::uint32_t most_marks = std::uint32_t{1} << 21;
    static constexpr std::uint32_t no_mark = most_marks;

    void count(Operation operation, std::uint64_t times = 1) noexcept {
        operations_[static_cast<std::size_t>(operation)].fetch_add(times);
    }
    std::uint64_t counted(Operation operation) const noexcept {
        return operations_[static_cast<std::size_t>(operation)].load();
    }

    // A new mark for what may happen `most` times; no_mark when there is none left.
    std::uint32_t new_mark(std::uint32_t most = 1) noexcept;
    bool has_marks(std::uint32_t count) const noexcept { return next_mark_.load() + count < most_marks; }
    // It happens. Returns how often it has, this time included.
    std::uint32_t happens(std::uint32_t mark) noexcept { return (marks_[mark].fetch_add(1) + 1) & 0xff; }
    std::uint32_t times(std::uint32_t mark) const noexcept { return marks_[mark].load() & 0xff; }
    // Says that it must happen, as far as nobody dies of those who do it: an item was put. `group`, from `new_group`, tells
    // whose it is. And how many of a group never happened.
    std::uint32_t new_group() noexcept { return groups_.fetch_add(1) % 255 + 1; }
    void promise(std::uint32_t mark, std::uint32_t group) noexcept { marks_[mark].fetch_or(group << 16); }
    std::uint64_t missing(std::uint32_t group) const noexcept;
    // How many marks happened more often than they may.
    std::uint64_t marks_too_often() const noexcept;

    // Notes a failure, and the first of them with what to say about it. Never throws nor allocates.
    void fail(Failure failure, std::uint64_t times, const char* format, ...) noexcept
#if defined(__GNUC__) && !defined(__MINGW32__)
        __attribute__((format(printf, 4, 5)))
#endif
        ;
    std::uint64_t failed(Failure failure) const noexcept { return failures_[static_cast<std::size_t>(failure)].load(); }
    std::string texts() const;

    // Before a process is killed, so that whoever learns of its death knows why.
    void note_kill(std::uint32_t pid) noexcept;
    bool was_killed(std::uint32_t pid) const noexcept;
    std::uint32_t kills() const noexcept { return kills_.load(); }

    // A process that is something else than a worker.
    void note_manager(std::uint32_t pid) noexcept;
    bool is_manager(std::uint32_t pid) const noexcept;
    bool was_manager_killed() const noexcept;

    // An error that lack of memory, descriptors or processes explains, or a death.
    void note_error() noexcept { errors_.fetch_add(1); }
    std::uint64_t errors() const noexcept { return errors_.load(); }
    void note_loss(std::uint64_t count) noexcept { promised_losses_.fetch_add(count); }
    std::uint64_t promised_losses() const noexcept { return promised_losses_.load(); }

    // Of a million allocations and system calls, how many fail; and those that did.
    std::atomic<std::uint32_t> allocation_faults{0}, call_faults{0};
    std::atomic<std::uint64_t> failed_allocations{0}, failed_calls{0};
    // Whether memory, descriptors or processes may be lacking.
    std::atomic<std::uint32_t> is_scarce{0};
    // How far the first process has come: nobody is struck before it is ready, nor when it takes stock.
    enum Stage : std::uint32_t { starting, running, taking_stock };
    std::atomic<std::uint32_t> stage{starting};

    void reset() noexcept;

private:
    static constexpr std::uint32_t most_kills = 8192, most_managers = 256, most_texts = 24;
    static constexpr std::size_t text_size = 400;

    std::atomic<std::uint64_t> operations_[operation_kinds]{};
    std::atomic<std::uint64_t> failures_[failure_kinds]{};
    std::atomic<std::uint64_t> errors_{0}, promised_losses_{0};
    std::atomic<std::uint32_t> kills_{0}, managers_{0}, texts_{0}, next_mark_{0}, groups_{0};
    std::atomic<std::uint32_t> killed_[most_kills]{}, manager_pids_[most_managers]{};
    char text_[most_texts][text_size]{};
    std::atomic<std::uint32_t> marks_[most_marks]{};  // times, most << 8, group << 16
};

// This process's view of it. `open_ledger` finds it by the environment; every process does that before freeze_support.
Ledger& ledger() noexcept;
void open_ledger();
// For the driver: makes it, and lets children find it.
void create_ledger();
void remove_ledger() noexcept;

}  // namespace chaos
