#include <multiproc/event.hpp>

#include <atomic>

#include "deadline.hpp"
#include "die_here.hpp"
#include "interrupt.hpp"
#include "wait_set.hpp"

namespace multiproc {
namespace {

struct EventState {
    std::atomic<std::uint64_t>
        count;  // odd: set. Counts on with every change, so that a waiter sees what it has missed
    WaitSet waiters;
};

EventState& event_in(std::byte* state) noexcept { return *reinterpret_cast<EventState*>(state); }

bool is_odd(std::uint64_t count) noexcept { return count % 2 != 0; }

}  // namespace

void Event::set() const {
    EventState& event = event_in(state());
    std::uint64_t seen = event.count.load(std::memory_order_relaxed);
    while (!is_odd(seen) && !event.count.compare_exchange_weak(seen, seen + 1, std::memory_order_seq_cst)) {}
    die_here(DeathPoint::event_set);
    // Also if it was set before: whoever set it may have died before it woke anybody.
    event.waiters.wake_all();
}

void Event::clear() const {
    EventState& event = event_in(state());
    std::uint64_t seen = event.count.load(std::memory_order_relaxed);
    while (is_odd(seen) && !event.count.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel)) {}
    die_here(DeathPoint::event_cleared);
}

bool Event::is_set() const { return is_odd(event_in(state()).count.load(std::memory_order_acquire)); }

bool Event::wait(std::optional<Timeout> timeout) const {
    EventState& event = event_in(state());
    const std::uint64_t before = event.count.load(std::memory_order_acquire);
    if (is_odd(before)) return true;
    const os::Deadline deadline = deadline_or_never(timeout);
    const auto is_unchanged = [&] { return event.count.load(std::memory_order_seq_cst) == before; };
    while (is_unchanged()) {
        if (is_over(deadline)) {
            throw_if_interrupted();
            return false;
        }
        event.waiters.wait(deadline, is_unchanged);
    }
    return true;
}

std::size_t Event::state_size() noexcept { return sizeof(EventState); }

}  // namespace multiproc
