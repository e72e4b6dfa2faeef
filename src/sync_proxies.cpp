// The proxies of locks and their like, and how a manager makes them.
#include <multiproc/sync_proxies.hpp>

#include <multiproc/manager.hpp>

#include "served_methods.hpp"

namespace multiproc {

namespace detail {

bool acquire(const Proxy<ServedLock>& lock, bool block, const WireTimeout& timeout) {
    return lock.call<&ServedLock::acquire>(block, timeout);
}
bool acquire(const Proxy<ServedCondition>& condition, bool block, const WireTimeout& timeout) {
    return condition.call<&ServedCondition::acquire>(block, timeout);
}
void release(const Proxy<ServedLock>& lock) { lock.call<&ServedLock::release>(); }
void release(const Proxy<ServedCondition>& condition) { condition.call<&ServedCondition::release>(); }

bool BasicLockProxy::locked() const { return call<&ServedLock::locked>(); }

bool BasicSemaphoreProxy::acquire(bool block, std::optional<Timeout> timeout) const {
    return call<&ServedSemaphore::acquire>(block, to_wire(timeout));
}
void BasicSemaphoreProxy::release(Count count) const { call<&ServedSemaphore::release>(count.value()); }
std::uint32_t BasicSemaphoreProxy::get_value() const {
    return static_cast<std::uint32_t>(call<&ServedSemaphore::value>());
}

}  // namespace detail

bool EventProxy::is_set() const { return call<&Object::is_set>(); }
void EventProxy::set() const { call<&Object::set>(); }
void EventProxy::clear() const { call<&Object::clear>(); }
bool EventProxy::wait(std::optional<Timeout> timeout) const { return call<&Object::wait>(detail::to_wire(timeout)); }

bool ConditionProxy::wait(std::optional<Timeout> timeout) const {
    return call<&Object::wait>(detail::to_wire(timeout));
}
void ConditionProxy::notify(Count count) const { call<&Object::notify>(count.value()); }

std::uint32_t BarrierProxy::wait(std::optional<Timeout> timeout) const {
    return call<&Object::wait>(detail::to_wire(timeout));
}
void BarrierProxy::abort() const { call<&Object::abort>(); }
void BarrierProxy::reset() const { call<&Object::reset>(); }
std::uint32_t BarrierProxy::parties() const { return call<&Object::parties>(); }
std::uint32_t BarrierProxy::n_waiting() const { return call<&Object::waiting>(); }
bool BarrierProxy::broken() const { return call<&Object::is_broken>(); }

LockProxy Manager::lock() const { return made<LockProxy>(false); }
RLockProxy Manager::rlock() const { return made<RLockProxy>(true); }
SemaphoreProxy Manager::semaphore(Count value) const { return made<SemaphoreProxy>(value.value(), false); }
BoundedSemaphoreProxy Manager::bounded_semaphore(Count value) const {
    return made<BoundedSemaphoreProxy>(value.value(), true);
}
EventProxy Manager::event() const { return made<EventProxy>(); }
ConditionProxy Manager::condition() const { return made<ConditionProxy>(); }
ConditionProxy Manager::condition(const LockProxy& lock) const { return made<ConditionProxy>(lock); }
ConditionProxy Manager::condition(const RLockProxy& lock) const { return made<ConditionProxy>(lock); }
BarrierProxy Manager::barrier(Count parties, std::optional<Timeout> timeout) const {
    return made<BarrierProxy>(parties.value(), detail::to_wire(timeout));
}

}  // namespace multiproc
