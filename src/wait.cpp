#include <multiproc/wait.hpp>

#include <stdexcept>

#include "deadline.hpp"
#include "interrupt.hpp"
#include "process_state.hpp"
#include "runtime.hpp"
#include "wait_set.hpp"

namespace multiproc {

bool detail::Incoming::ready() const {
    return await_message({false, {}}, sender_) || (sender_ != 0 && is_end_gone(sender_));
}

bool Waitable::ready() const {
    return std::visit([](const auto& what) { return what.ready(); }, what_);
}

WaitSet& Waitable::waiters() const {
    const auto* const incoming = std::get_if<detail::Incoming>(&what_);
    return incoming != nullptr ? incoming->waiters() : detail::ProcessRegistry::get().waiters;
}

std::vector<std::size_t> detail::wait_for_any(std::span<const Waitable> things, std::optional<Timeout> timeout) {
    if (things.empty() && !timeout)
        throw std::invalid_argument("multiproc: wait() for nothing and without a timeout would never return");
    const os::Deadline deadline = deadline_or_never(timeout);
    std::vector<std::size_t> ready;
    const auto is_none_ready = [&] {
        for (std::size_t i = 0; i < things.size(); ++i)
            if (things[i].ready()) ready.push_back(i);
        return ready.empty();
    };
    if (!is_none_ready() || deadline <= os::Clock::now()) return ready;
    (void)Runtime::get().arena();  // whoever wakes this thread cannot deal with an error
    std::vector<WaitSet*> sets;
    for (const Waitable& thing : things) sets.push_back(&thing.waiters());
    do {
        WaitSet::wait_for_any(sets, deadline, is_none_ready);
    } while (ready.empty() && is_none_ready() && !is_over(deadline));
    if (ready.empty()) throw_if_interrupted();
    return ready;
}

}  // namespace multiproc
