#include <multiproc/detail/served_sync.hpp>

#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include <multiproc/errors.hpp>

namespace multiproc::detail {
// ---- lock ----

bool ServedLock::acquire(bool block, WireTimeout timeout) {
    const std::uint64_t client = current_client();
    Monitor::Lock lock = monitor_.lock();
    if (owner_ == client && !is_recursive_ && block && !timeout) {
        throw std::system_error(std::make_error_code(std::errc::resource_deadlock_would_occur),
                                "multiproc: this thread holds the lock already; use an RLock");
    }
    const auto is_mine = [&] { return owner_ == 0 || (owner_ == client && is_recursive_); };
    if (!monitor_.wait(lock, Monitor::deadline_of(block, timeout), is_mine)) return false;
    owner_ = client;
    ++depth_;
    return true;
}

void ServedLock::require_held(const char* what) {
    const Monitor::Lock lock = monitor_.lock();
    if (owner_ != current_client())
        throw std::logic_error(std::string("multiproc: ") + what + " of a lock that this thread does not hold");
}

void ServedLock::release() {
    require_held("release()");  // nobody else can change that
    const Monitor::Lock lock = monitor_.lock();
    if (--depth_ != 0) return;
    owner_ = 0;
    monitor_.notify_all();
}

std::uint32_t ServedLock::release_wholly() {
    const Monitor::Lock lock = monitor_.lock();
    owner_ = 0;
    monitor_.notify_all();
    return std::exchange(depth_, 0);
}

void ServedLock::acquire_again(std::uint32_t depth) {
    Monitor::Lock lock = monitor_.lock();
    monitor_.wait(lock, Monitor::deadline_of(true, {}), [&] { return owner_ == 0; });
    owner_ = current_client();
    depth_ = depth;
}

bool ServedLock::locked() {
    const Monitor::Lock lock = monitor_.lock();
    return owner_ != 0;
}

void ServedLock::client_gone(std::uint64_t client) noexcept {
    const Monitor::Lock lock = monitor_.lock();
    if (owner_ != client) return;
    owner_ = 0;
    depth_ = 0;
    monitor_.notify_all();
}

// ---- semaphore ----

ServedSemaphore::ServedSemaphore(std::int64_t value, bool is_bounded)
    : is_bounded_(is_bounded), limit_(is_bounded ? value : INT32_MAX), value_(value) {
    if (value < 0 || value > INT32_MAX) {
        throw std::invalid_argument("multiproc: a semaphore cannot begin with " + std::to_string(value) +
                                    " permits; give 0 to 2147483647");
    }
}

bool ServedSemaphore::acquire(bool block, WireTimeout timeout) {
    Monitor::Lock lock = monitor_.lock();
    if (!monitor_.wait(lock, Monitor::deadline_of(block, timeout), [&] { return value_ > 0; })) return false;
    Monitor::require_client();  // nobody would give back what one that has ended took
    --value_;
    return true;
}

void ServedSemaphore::release(std::int64_t count) {
    if (count < 1) throw std::invalid_argument("multiproc: a semaphore is released once at least");
    const Monitor::Lock lock = monitor_.lock();
    if (count > limit_ - value_) {
        if (is_bounded_) throw std::logic_error("multiproc: this bounded semaphore was released too often");
        throw std::overflow_error("multiproc: a semaphore cannot have more than 2147483647 permits");
    }
    value_ += count;
    monitor_.notify_all();
}

std::int64_t ServedSemaphore::value() {
    const Monitor::Lock lock = monitor_.lock();
    return value_;
}

// ---- event ----

bool ServedEvent::is_set() {
    const Monitor::Lock lock = monitor_.lock();
    return is_set_;
}

void ServedEvent::set() {
    const Monitor::Lock lock = monitor_.lock();
    is_set_ = true;
    ++times_set_;
    monitor_.notify_all();
}

void ServedEvent::clear() {
    const Monitor::Lock lock = monitor_.lock();
    is_set_ = false;
}

// Also if it was cleared again meanwhile.
bool ServedEvent::wait(WireTimeout timeout) {
    Monitor::Lock lock = monitor_.lock();
    const std::uint64_t before = times_set_;
    return monitor_.wait(lock, Monitor::deadline_of(true, timeout), [&] { return is_set_ || times_set_ != before; });
}

// ---- condition ----

ServedCondition::ServedCondition() : own_(true) {}
ServedCondition::ServedCondition(Proxy<ServedLock> lock)
    : own_(true),
      proxy_(std::move(lock)),
      given_(std::static_pointer_cast<ServedLock>(served_object(*ProxyAccess::target(*proxy_)))) {}

bool ServedCondition::wait(WireTimeout timeout) {
    lock().require_held("wait()");
    const Monitor::Deadline deadline = Monitor::deadline_of(true, timeout);
    std::uint32_t depth = 0;
    bool is_notified = false;
    {
        Monitor::Lock waiting = monitor_.lock();
        const auto me = waiters_.emplace(waiters_.end());
        depth = lock().release_wholly();
        const auto leave = [&] {  // what it was notified of is for another
            const bool was_notified = me->is_notified;
            waiters_.erase(me);
            if (was_notified) notify_locked(1);
        };
        try {
            is_notified = monitor_.wait(waiting, deadline, [&] { return me->is_notified; });
            Monitor::require_client();
        } catch (const Interrupted&) {  // the client has given this call up, and nothing else
            leave();
            waiting.unlock();
            lock().acquire_again(depth);
            throw;
        } catch (...) {  // the client has ended
            leave();
            throw;
        }
        waiters_.erase(me);
    }
    lock().acquire_again(depth);
    return is_notified;
}

void ServedCondition::notify(std::int64_t count) {
    if (count < 1) throw std::invalid_argument("multiproc: notify() wakes one at least");
    lock().require_held("notify()");
    const Monitor::Lock waiting = monitor_.lock();
    notify_locked(count);
}

void ServedCondition::notify_locked(std::int64_t count) {
    for (Waiter& waiter : waiters_) {
        if (count == 0) break;
        if (waiter.is_notified) continue;
        waiter.is_notified = true;
        --count;
    }
    monitor_.notify_all();
}

void ServedCondition::client_gone(std::uint64_t client) noexcept { own_.client_gone(client); }

// ---- barrier ----

ServedBarrier::ServedBarrier(std::int64_t parties, WireTimeout timeout)
    : parties_(static_cast<std::uint32_t>(parties)), timeout_(timeout) {
    if (parties < 1 || parties > UINT16_MAX) {
        throw std::invalid_argument("multiproc: a barrier cannot be for " + std::to_string(parties) +
                                    " parties; give 1 to 65535");
    }
}

// Those who wait know their round, and are told how it ended; the next one is another.
void ServedBarrier::end_round_locked(bool is_broken) {
    auto next = std::make_shared<Round>();
    round_->is_over = true;
    round_->is_broken = is_broken;
    round_ = std::move(next);
    arrived_ = 0;
    monitor_.notify_all();
}

std::uint32_t ServedBarrier::wait(WireTimeout timeout) {
    const Monitor::Deadline deadline = Monitor::deadline_of(true, timeout ? timeout : timeout_);
    Monitor::Lock lock = monitor_.lock();
    if (is_broken_) throw BrokenBarrierError("multiproc: the barrier is broken; reset() it");
    const std::uint32_t number = arrived_;
    if (number + 1 == parties_) {
        end_round_locked(false);
        return number;
    }
    ++arrived_;
    const std::shared_ptr<const Round> mine = round_;
    bool is_over = false;
    try {
        is_over = monitor_.wait(lock, deadline, [&] { return mine->is_over; });
    } catch (...) {  // the client has ended, and will not be at the others' side
        if (!mine->is_over) abort_locked();
        throw;
    }
    if (!is_over) {
        abort_locked();
        throw BrokenBarrierError("multiproc: the barrier is broken: the time to wait was over");
    }
    if (mine->is_broken)
        throw BrokenBarrierError("multiproc: the barrier was broken or reset while this thread waited");
    return number;
}

void ServedBarrier::abort_locked() {
    is_broken_ = true;
    end_round_locked(true);
}

void ServedBarrier::abort() {
    const Monitor::Lock lock = monitor_.lock();
    if (!is_broken_) abort_locked();
}

void ServedBarrier::reset() {
    const Monitor::Lock lock = monitor_.lock();
    is_broken_ = false;
    if (arrived_ != 0) end_round_locked(true);
}

std::uint32_t ServedBarrier::waiting() {
    const Monitor::Lock lock = monitor_.lock();
    return arrived_;
}

bool ServedBarrier::is_broken() {
    const Monitor::Lock lock = monitor_.lock();
    return is_broken_;
}

}  // namespace multiproc::detail
