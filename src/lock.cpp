#include <multiproc/lock.hpp>

#include "deadline.hpp"
#include "lock_state.hpp"

namespace multiproc {
namespace detail {
namespace {

LockState& lock_in(std::byte* state) noexcept { return *reinterpret_cast<LockState*>(state); }

}  // namespace

void BasicLock::lock() const { lock_in(state()).lock(os::never, is_recursive_); }
bool BasicLock::try_lock_for(Timeout timeout) const {
    return lock_in(state()).lock(deadline_after(timeout), is_recursive_);
}
void BasicLock::unlock() const { lock_in(state()).unlock(); }

bool BasicLock::acquire(bool block, std::optional<Timeout> timeout) const {
    if (!block) return try_lock();
    if (timeout) return try_lock_for(*timeout);
    lock();
    return true;
}

bool BasicLock::locked() const { return lock_in(state()).is_locked(); }
bool BasicLock::owner_died() const { return lock_in(state()).has_owner_died(); }
void BasicLock::make_consistent() const { lock_in(state()).make_consistent(); }
std::size_t BasicLock::state_size() noexcept { return sizeof(LockState); }

}  // namespace detail

Lock::Lock() : Lock(detail::OfObject{}, detail::make_object(kind, state_size())) {}
RLock::RLock() : RLock(detail::OfObject{}, detail::make_object(kind, state_size())) {}

}  // namespace multiproc
