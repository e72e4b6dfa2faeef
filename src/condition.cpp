#include <multiproc/condition.hpp>

#include <stdexcept>

#include "deadline.hpp"
#include "die_here.hpp"
#include "interrupt.hpp"
#include "lock_state.hpp"

namespace multiproc {
namespace {

struct ConditionState {
    WaitSet waiters;
};

ConditionState& condition_in(std::byte* state) noexcept { return *reinterpret_cast<ConditionState*>(state); }

// The state of a lock that this thread must hold.
LockState& held(std::byte* state, const char* what) {
    LockState& lock = *reinterpret_cast<LockState*>(state);
    if (lock.is_mine()) return lock;
    throw std::logic_error(std::string("multiproc: ") + what +
                           "() of a Condition whose lock this thread does not hold");
}

}  // namespace

bool Condition::wait(std::optional<Timeout> timeout) const {
    LockState& lock = held(detail::state_of(*detail::HandleAccess::object(basic_lock())), "wait");
    const os::Deadline deadline = deadline_or_never(timeout);
    std::uint32_t depth = 0;
    const bool was_notified =
        condition_in(state()).waiters.wait_until_woken(deadline, [&] { depth = lock.unlock_wholly(); });
    die_here(DeathPoint::condition_was_awaited);
    lock.lock_again(depth);
    if (!was_notified) throw_if_interrupted();
    return was_notified;
}

void Condition::notify(Count count) const {
    held(detail::state_of(*detail::HandleAccess::object(basic_lock())), "notify");
    if (count.value() < 1) {
        throw std::invalid_argument("multiproc: notify(" + std::to_string(count.value()) +
                                    ") of a Condition; give at least 1");
    }
    const auto most = static_cast<std::int64_t>(UINT32_MAX);
    condition_in(state()).waiters.wake(static_cast<std::uint32_t>(std::min(count.value(), most)), true);
}

void Condition::notify_all() const {
    held(detail::state_of(*detail::HandleAccess::object(basic_lock())), "notify_all");
    condition_in(state()).waiters.wake_all();
}

std::size_t Condition::state_size() noexcept { return sizeof(ConditionState); }

}  // namespace multiproc
