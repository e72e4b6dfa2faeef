#include "wait_set.hpp"

#include <algorithm>
#include <bit>

#include "die_here.hpp"
#include "runtime.hpp"

namespace multiproc {
namespace {

// In the place of the name of a set.
constexpr std::uint64_t several_sets = UINT64_MAX;

// This thread's slot, claimed when it first waits. Without a destructor, so that it can be looked at while the thread, or
// the program, ends.
struct ThreadSlot {
    Runtime* runtime;
    std::uint32_t pid;
    std::uint32_t slot;
    bool is_ending;  // the slot is given back after each wait from then on

    std::uint32_t get(Runtime& current);
    void give_back() noexcept {
        // A copy made by fork has the original's number, which is not its own.
        if (runtime != nullptr && pid == os::current_pid()) runtime->release_slot(slot);
        runtime = nullptr;
    }
};
thread_local ThreadSlot this_thread_slot{};

struct ThreadEnd {
    bool is_watched = false;
    ~ThreadEnd() {
        this_thread_slot.give_back();
        this_thread_slot.is_ending = true;
    }
};
thread_local ThreadEnd this_thread_end;

std::uint32_t ThreadSlot::get(Runtime& current) {
    if (runtime != &current || pid != os::current_pid()) {
        if (!is_ending) this_thread_end.is_watched = true;  // has it constructed
        slot = current.claim_slot(current.self());
        runtime = &current;
        pid = os::current_pid();
    }
    return slot;
}

}  // namespace

// The same in every process, and no other set has it as long as this one is there.
std::uint64_t WaitSet::name() const noexcept { return Runtime::get().arena().place_of_byte(this); }

// Counted first: more may be counted than are marked, after a death, but never fewer.
void WaitSet::mark(std::uint32_t slot) noexcept {
    const std::uint64_t bit = std::uint64_t{1} << (slot % 64);
    marked_.fetch_add(1, std::memory_order_seq_cst);
    die_here(DeathPoint::waiter_counted);
    if ((bits_[slot / 64].fetch_or(bit, std::memory_order_seq_cst) & bit) != 0)
        marked_.fetch_sub(1, std::memory_order_relaxed);
    die_here(DeathPoint::waiter_marked);
}

void WaitSet::unmark(std::uint32_t slot) noexcept {
    const std::uint64_t bit = std::uint64_t{1} << (slot % 64);
    if ((bits_[slot / 64].fetch_and(~bit, std::memory_order_seq_cst) & bit) == 0) return;
    die_here(DeathPoint::waiter_unmarked);
    marked_.fetch_sub(1, std::memory_order_relaxed);
}

std::uint32_t WaitSet::enter() {
    Runtime& runtime = Runtime::get();
    const std::uint32_t slot = this_thread_slot.get(runtime);
    WaitSlot& mine = runtime.wait_slot(slot);
    mine.word.store(0, std::memory_order_relaxed);
    // Not before the word is 0: one who has found this thread's bit at an earlier wait may wake it as soon as it sees this.
    mine.waits_in.store(name(), std::memory_order_release);
    die_here(DeathPoint::waiter_announced);
    mark(slot);
    return slot;
}

std::uint32_t WaitSet::enter_all(std::span<WaitSet* const> sets) {
    Runtime& runtime = Runtime::get();
    const std::uint32_t slot = this_thread_slot.get(runtime);
    WaitSlot& mine = runtime.wait_slot(slot);
    mine.word.store(0, std::memory_order_relaxed);
    mine.waits_in.store(several_sets, std::memory_order_release);  // see `enter`
    die_here(DeathPoint::waiter_for_any_announced);
    for (WaitSet* const set : sets) set->mark(slot);
    return slot;
}

void WaitSet::park(std::uint32_t slot, os::Deadline deadline) noexcept {
    Runtime& runtime = Runtime::get();
    const WaitSlot& mine = runtime.wait_slot(slot);
    const os::Deadline end = std::min<os::Deadline>(deadline, os::Clock::now() + longest_wait);
    die_here(DeathPoint::waiter_parking);
    while (mine.word.load(std::memory_order_acquire) == 0)
        if (!runtime.lot().park(slot, mine.word, 0, end)) return;
}

// Whoever wakes it may die before the word is changed. And the word may have been changed by one who was about to wake
// this thread from an earlier wait; so before it sleeps on, that is undone.
bool WaitSet::is_woken(std::uint32_t slot) noexcept {
    WaitSlot& mine = Runtime::get().wait_slot(slot);
    mine.word.store(0, std::memory_order_seq_cst);
    return mine.waits_in.load(std::memory_order_seq_cst) == 0;
}

// Whether it was woken.
bool WaitSet::leave(std::uint32_t slot) noexcept {
    const bool was_woken = Runtime::get().wait_slot(slot).waits_in.exchange(0, std::memory_order_acq_rel) == 0;
    die_here(DeathPoint::waiter_left);
    unmark(slot);
    if (this_thread_slot.is_ending) this_thread_slot.give_back();
    return was_woken;
}

void WaitSet::leave_all(std::span<WaitSet* const> sets, std::uint32_t slot) noexcept {
    Runtime::get().wait_slot(slot).waits_in.exchange(0, std::memory_order_acq_rel);
    die_here(DeathPoint::waiter_for_any_left);
    for (WaitSet* const set : sets) set->unmark(slot);
    if (this_thread_slot.is_ending) this_thread_slot.give_back();
}

// How many it has woken, those that wait in several sets not counted.
//
// A bit is taken back before its thread is: so the next one who has something to tell does not stop at a thread that is
// on its way already. Had the bit been taken afterwards, the thread could have marked it anew in between, for its next
// wait, and that would go unseen. If the waker dies between the two, the thread looks when `longest_wait` is over.
std::uint32_t WaitSet::wake_some(std::uint32_t count, bool only_living) noexcept {
    Runtime& runtime = Runtime::get();
    const std::uint64_t here = name();
    std::uint32_t woken = 0;
    const std::uint32_t first = (last_.load(std::memory_order_relaxed) + 1) % slot_count;
    // From the one behind the last to the end, and from the beginning to it.
    for (std::uint32_t part = 0; part <= slot_count / 64 && woken < count; ++part) {
        const std::uint32_t index = (first / 64 + part) % (slot_count / 64);
        std::uint64_t mask = ~std::uint64_t{0};
        if (part == 0) mask <<= first % 64;
        if (part == slot_count / 64) mask = ~(mask << first % 64);
        for (std::uint64_t seen = bits_[index].load(std::memory_order_acquire) & mask; seen != 0 && woken < count;
             seen &= seen - 1) {
            const std::uint32_t slot = index * 64 + static_cast<std::uint32_t>(std::countr_zero(seen));
            unmark(slot);
            if (only_living && !runtime.is_slot_alive(slot)) continue;
            WaitSlot& waiter = runtime.wait_slot(slot);
            std::uint64_t expected = here;
            bool is_meant = waiter.waits_in.compare_exchange_strong(expected, 0, std::memory_order_acq_rel);
            if (!is_meant && (expected != several_sets ||
                              !waiter.waits_in.compare_exchange_strong(expected, 0, std::memory_order_acq_rel)))
                continue;
            die_here(DeathPoint::waiter_taken);
            waiter.word.store(1, std::memory_order_release);
            die_here(DeathPoint::waiter_told);
            runtime.lot().unpark(slot, waiter.word);
            die_here(DeathPoint::waiter_woken);
            if (!is_meant) continue;
            last_.store(slot, std::memory_order_relaxed);
            ++woken;
        }
    }
    return woken;
}

// Of those who find somebody else at it, none needs to do more: if that one finds no thread to wake, it says so and looks
// again for one that has come meanwhile; and the thread that it has woken calls `looks` before it looks, so it sees what
// was changed before, and hands on. If one of them dies in between, the mark is taken back by a waiter whose time is over.
void WaitSet::wake_one_at_a_time() noexcept {
    do {
        std::uint32_t none = 0;
        if (!underway_.compare_exchange_strong(none, 1, std::memory_order_seq_cst)) return;
        die_here(DeathPoint::wake_up_underway);
        if (wake_some(1, false) != 0) return;
        underway_.store(0, std::memory_order_seq_cst);
        // By the bits, as too many may be counted.
    } while (std::ranges::any_of(bits_, [](const auto& bits) { return bits.load(std::memory_order_seq_cst) != 0; }));
}

}  // namespace multiproc
