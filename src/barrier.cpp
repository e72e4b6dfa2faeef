#include <multiproc/barrier.hpp>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <utility>

#include <multiproc/errors.hpp>

#include "deadline.hpp"
#include "die_here.hpp"
#include "interrupt.hpp"
#include "runtime.hpp"
#include "wait_set.hpp"

namespace multiproc {
namespace {

// A round is one word, so that it changes by one exchange, whoever dies. A round ends by getting the next number.
struct Round {
    enum Phase : std::uint8_t { filling, acting, ending, broken };

    std::uint32_t number = 0;  // 24 bits
    Phase phase = filling;
    std::uint32_t arrived = 0;        // 16 bits; while acting all have
    Runtime::ProcessRef actor{0, 0};  // whose thread runs the action, while acting, and then ends the round

    static Round unpack(std::uint64_t word) noexcept {
        Round round;
        round.number = static_cast<std::uint32_t>(word >> 40);
        round.phase = static_cast<Phase>(word >> 36 & 0xf);
        if (round.is_full()) {
            round.actor = Runtime::ProcessRef::unpack_short(static_cast<std::uint32_t>(word));
        } else {
            round.arrived = static_cast<std::uint32_t>(word & 0xffff);
        }
        return round;
    }
    std::uint64_t pack() const noexcept {
        const std::uint64_t rest = is_full() ? actor.pack_short() : arrived;
        return std::uint64_t{number} << 40 | std::uint64_t{phase} << 36 | rest;
    }
    // All have come.
    bool is_full() const noexcept { return phase == acting || phase == ending; }
    Round next() const noexcept {
        Round round;
        round.number = (number + 1) & 0xffffff;
        return round;
    }
};

struct BarrierState {
    std::atomic<std::uint64_t> word;
    std::atomic<std::uint64_t> resets;  // a bit for each of the last 64 rounds: it was ended by `reset`
    std::uint32_t parties;
    std::int64_t timeout;  // nanoseconds; negative: none
    WaitSet waiters;

    Round now() const noexcept { return Round::unpack(word.load(std::memory_order_seq_cst)); }
    bool change(const Round& from, const Round& to) noexcept {
        std::uint64_t seen = from.pack();
        return word.compare_exchange_strong(seen, to.pack(), std::memory_order_seq_cst);
    }
    bool was_reset(std::uint32_t number) const noexcept {
        return (resets.load(std::memory_order_acquire) >> number % 64 & 1) != 0;
    }
    void note_reset(std::uint32_t number, bool is_reset) noexcept {
        const std::uint64_t bit = std::uint64_t{1} << number % 64;
        is_reset ? resets.fetch_or(bit, std::memory_order_release) : resets.fetch_and(~bit, std::memory_order_release);
    }
    // Breaks the round `from`, if it still is like that.
    bool break_round(Round from) noexcept {
        Round broken = from;
        broken.phase = Round::broken;
        broken.arrived = 0;
        if (!change(from, broken)) return false;
        die_here(DeathPoint::barrier_broken);
        waiters.wake_all();
        return true;
    }
    // By who has made it ending or broken: it ends in no other way then.
    void end_round(const Round& round, bool is_reset) noexcept {
        note_reset(round.number, is_reset);
        die_here(DeathPoint::barrier_reset_noted);
        change(round, round.next());
        die_here(DeathPoint::barrier_round_ended);
        waiters.wake_all();
    }
    // The actor's process has died: what is left to do is done in its place. Whether there was anything.
    bool replace_actor(const Round& seen) noexcept {
        if (!seen.is_full() || Runtime::get().is_alive(seen.actor)) return false;
        if (seen.phase == Round::ending) {
            end_round(seen, false);
        } else {
            break_round(seen);
        }
        return true;
    }
};

BarrierState& barrier_in(std::byte* state) noexcept { return *reinterpret_cast<BarrierState*>(state); }

[[noreturn]] void throw_broken(const char* why) {
    throw BrokenBarrierError(std::string("multiproc: the barrier is broken: ") + why);
}

// The last one has come.
std::uint32_t finish(BarrierState& barrier, const Round& seen, const std::function<void()>* action) {
    Round acting = seen;
    acting.phase = Round::acting;
    acting.actor = Runtime::get().self_ref();
    if (!barrier.change(seen, acting)) return UINT32_MAX;
    die_here(DeathPoint::barrier_acting);
    if (action != nullptr && *action) {
        try {
            (*action)();
        } catch (...) {
            barrier.break_round(acting);
            throw;
        }
    }
    Round ending = acting;
    ending.phase = Round::ending;
    if (!barrier.change(acting, ending)) throw_broken("it was aborted during the action");
    die_here(DeathPoint::barrier_ending);
    barrier.end_round(ending, false);
    return seen.arrived;
}

// Waits for the end of the round in which this thread has come.
void await(BarrierState& barrier, std::uint32_t number, os::Deadline deadline) {
    for (;;) {
        const Round seen = barrier.now();
        if (seen.number != number) {
            if (barrier.was_reset(number)) throw_broken("it was reset");
            return;
        }
        if (seen.phase == Round::broken) throw_broken("it was aborted, or another one's time was over");
        if (barrier.replace_actor(seen)) continue;
        // Once all have come, nobody's time is over.
        if (seen.phase == Round::filling && is_over(deadline)) {
            if (!barrier.break_round(seen)) continue;
            throw_if_interrupted();
            throw_broken("the time to wait was over");
        }
        barrier.waiters.wait(seen.phase == Round::filling ? deadline : os::never,
                             [&] { return barrier.word.load(std::memory_order_seq_cst) == seen.pack(); });
    }
}

}  // namespace

Barrier::Barrier(Count parties, std::optional<Timeout> timeout)
    : Barrier(detail::OfObject{}, detail::make_object(kind, sizeof(BarrierState))) {
    if (parties.value() < 1 || parties.value() > UINT16_MAX) {
        throw std::invalid_argument("multiproc: a barrier cannot be for " + std::to_string(parties.value()) +
                                    " parties; give 1 to 65535");
    }
    BarrierState& barrier = barrier_in(state());
    barrier.parties = static_cast<std::uint32_t>(parties.value());
    barrier.timeout = timeout ? std::max<std::int64_t>(timeout->count(), 0) : -1;
}

std::uint32_t Barrier::wait_with(const std::function<void()>* action, std::optional<Timeout> timeout) const {
    BarrierState& barrier = barrier_in(state());
    if (!timeout && barrier.timeout >= 0) timeout = std::chrono::nanoseconds(barrier.timeout);
    const os::Deadline deadline = deadline_or_never(timeout);
    for (;;) {
        const Round seen = barrier.now();
        if (seen.phase == Round::broken) throw_broken("it was aborted, or somebody's time was over; reset() it");
        if (seen.is_full()) {  // this thread belongs to the next one
            if (barrier.replace_actor(seen)) continue;
            if (is_over(deadline)) {
                throw_if_interrupted();
                throw_broken("the time to wait was over before its last round was");
            }
            barrier.waiters.wait(deadline, [&] { return barrier.word.load(std::memory_order_seq_cst) == seen.pack(); });
            continue;
        }
        if (seen.arrived + 1 == barrier.parties) {
            const std::uint32_t index = finish(barrier, seen, action);
            if (index != UINT32_MAX) return index;
            continue;
        }
        Round more = seen;
        ++more.arrived;
        if (!barrier.change(seen, more)) continue;
        die_here(DeathPoint::barrier_arrived);
        await(barrier, seen.number, deadline);
        return seen.arrived;
    }
}

void Barrier::abort() const {
    BarrierState& barrier = barrier_in(state());
    for (Round seen = barrier.now(); seen.phase != Round::broken; seen = barrier.now()) {
        if (seen.phase == Round::ending) {  // for a moment, unless its process has died
            if (!barrier.replace_actor(seen)) std::this_thread::yield();
        } else if (barrier.break_round(seen)) {
            return;
        }
    }
}

void Barrier::reset() const {
    BarrierState& barrier = barrier_in(state());
    for (;;) {
        const Round seen = barrier.now();
        if (barrier.replace_actor(seen)) continue;
        if (seen.is_full()) return;
        if (seen.phase == Round::filling && seen.arrived == 0) return;
        if (seen.phase == Round::filling && !barrier.break_round(seen)) continue;
        Round broken = seen;
        broken.phase = Round::broken;
        broken.arrived = 0;
        // Of several who reset it at once, one ends the round.
        barrier.end_round(broken, true);
        return;
    }
}

std::uint32_t Barrier::parties() const { return barrier_in(state()).parties; }
std::uint32_t Barrier::n_waiting() const { return barrier_in(state()).now().arrived; }
bool Barrier::broken() const { return barrier_in(state()).now().phase == Round::broken; }
std::size_t Barrier::state_size() noexcept { return sizeof(BarrierState); }

}  // namespace multiproc
