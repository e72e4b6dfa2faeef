#include <multiproc/semaphore.hpp>

#include <atomic>
#include <stdexcept>

#include "deadline.hpp"
#include "die_here.hpp"
#include "interrupt.hpp"
#include "wait_set.hpp"

namespace multiproc::detail {
namespace {

constexpr std::int64_t largest_value = INT32_MAX;

struct SemaphoreState {
    std::atomic<std::uint32_t> value;
    std::uint32_t most;
    std::uint32_t is_bounded;
    WaitSet waiters;

    bool take() noexcept {
        std::uint32_t seen = value.load(std::memory_order_seq_cst);
        while (seen != 0)
            if (value.compare_exchange_weak(seen, seen - 1, std::memory_order_acq_rel)) {
                die_here(DeathPoint::permit_taken);
                return true;
            }
        return false;
    }
};

SemaphoreState& semaphore_in(std::byte* state) noexcept { return *reinterpret_cast<SemaphoreState*>(state); }

}  // namespace

ObjectRef BasicSemaphore::make(Count value, bool is_bounded) {
    if (value.value() < 0 || value.value() > largest_value) {
        throw std::invalid_argument("multiproc: a semaphore cannot begin with " + std::to_string(value.value()) +
                                    " permits; give 0 to 2147483647");
    }
    ObjectRef object = make_object(kind, sizeof(SemaphoreState));
    SemaphoreState& state = semaphore_in(state_of(*object));
    state.value.store(static_cast<std::uint32_t>(value.value()), std::memory_order_relaxed);
    state.most = static_cast<std::uint32_t>(is_bounded ? value.value() : largest_value);
    state.is_bounded = is_bounded ? 1 : 0;
    return object;
}

bool BasicSemaphore::acquire(bool block, std::optional<Timeout> timeout) const {
    SemaphoreState& state = semaphore_in(this->state());
    if (state.take()) return true;
    if (!block) return false;
    const os::Deadline deadline = deadline_or_never(timeout);
    bool was_woken = false;
    while (!is_over(deadline)) {
        was_woken =
            state.waiters.wait(deadline, [&] { return state.value.load(std::memory_order_seq_cst) == 0; }) || was_woken;
        if (state.take()) return true;
    }
    // The permit this thread was woken for went to another; should one have come back since, it is for the next.
    if (was_woken && state.value.load(std::memory_order_seq_cst) != 0) state.waiters.wake(1);
    throw_if_interrupted();
    return false;
}

void BasicSemaphore::release(Count count) const {
    SemaphoreState& state = semaphore_in(this->state());
    if (count.value() < 1) {
        throw std::invalid_argument("multiproc: a semaphore cannot be given " + std::to_string(count.value()) +
                                    " permits back; give at least 1");
    }
    std::uint32_t seen = state.value.load(std::memory_order_relaxed);
    do {
        if (count.value() <= static_cast<std::int64_t>(state.most) - seen) continue;
        if (state.is_bounded == 0) throw std::overflow_error("multiproc: a semaphore has too many permits");
        throw std::logic_error("multiproc: release() of a BoundedSemaphore that has all its " +
                               std::to_string(state.most) + " permits, or would have more than these");
    } while (!state.value.compare_exchange_weak(seen, seen + static_cast<std::uint32_t>(count.value()),
                                                std::memory_order_seq_cst));
    die_here(DeathPoint::permit_given_back);
    state.waiters.wake(static_cast<std::uint32_t>(count.value()));
}

std::uint32_t BasicSemaphore::get_value() const { return semaphore_in(state()).value.load(std::memory_order_acquire); }
std::size_t BasicSemaphore::state_size() noexcept { return sizeof(SemaphoreState); }

}  // namespace multiproc::detail
