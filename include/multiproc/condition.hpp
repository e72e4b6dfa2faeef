/// @file
/// Waiting for a condition that other processes or threads bring about under a lock.
///
/// ```cpp
/// void consume(multiproc::Condition changed, multiproc::RawValue<int> stock) {
///     const std::scoped_lock guard(changed);
///     changed.wait_for([&] { return *stock > 0; });
///     --*stock;
/// }
/// // and whoever produces:  { std::scoped_lock guard(changed); ++*stock; changed.notify(); }
/// ```
///
/// A Condition is a handle, as Lock is: see lock.hpp. It goes with its lock.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <utility>
#include <variant>

#include <multiproc/call_options.hpp>
#include <multiproc/config.hpp>
#include <multiproc/detail/shared_handle.hpp>
#include <multiproc/lock.hpp>
#include <multiproc/timeout.hpp>

namespace multiproc {

namespace detail {

/// Waits for a condition until `predicate()`, at most `timeout` in all. Returns what it said last.
template <class Waited, class Predicate>
bool wait_until_true(const Waited& condition, Predicate& predicate, const std::optional<Timeout>& timeout) {
    const auto begin = std::chrono::steady_clock::now();
    while (!predicate()) {
        std::optional<Timeout> left;
        if (timeout) {
            const std::chrono::nanoseconds passed = std::chrono::steady_clock::now() - begin;
            if (passed >= std::chrono::nanoseconds(*timeout)) return false;
            left = std::chrono::nanoseconds(*timeout) - passed;
        }
        condition.wait(left);
    }
    return true;
}

}  // namespace detail

/// All functions are thread-safe, throw ClosedError in a copy of the program that the host forked, and StartError when
/// more than 1024 threads of the program wait at once. `wait`, `wait_for`, `notify` and `notify_all` throw
/// std::logic_error if this thread does not hold the lock.
/// Source: Python's `multiprocessing.Condition`.
class MULTIPROC_API Condition final : public detail::SharedHandle {
public:
    static constexpr detail::ObjectKind kind = detail::ObjectKind::condition;

    /// With an RLock of its own, or a given lock, which others may use too. Throws what Lock throws.
    Condition() : Condition(RLock()) {}
    explicit Condition(RLock lock) : Condition(detail::make_object(kind, state_size()), std::move(lock)) {}
    explicit Condition(Lock lock) : Condition(detail::make_object(kind, state_size()), std::move(lock)) {}

    /// Its lock, which it can stand for: `std::scoped_lock guard(condition)`.
    void lock() const { basic_lock().lock(); }
    bool try_lock() const { return basic_lock().try_lock(); }
    void unlock() const { basic_lock().unlock(); }
    bool acquire(bool block = true, std::optional<Timeout> timeout = std::nullopt) const {
        return basic_lock().acquire(block, timeout);
    }
    void release() const { basic_lock().release(); }

    /// Gives the lock up, however often this thread holds it, waits until notified, at most `timeout` if that is given,
    /// and takes the lock again. Returns whether it was notified.
    bool wait(std::optional<Timeout> timeout = std::nullopt) const;
    /// Waits until `predicate()`, at most `timeout` in all. Returns what it said last.
    template <class Predicate>
    bool wait_for(Predicate predicate, std::optional<Timeout> timeout = std::nullopt) const {
        return detail::wait_until_true(*this, predicate, timeout);
    }

    /// Wakes `count` of those who wait, or all if there are fewer. Throws std::invalid_argument for less than 1.
    void notify(Count count = 1) const;
    void notify_all() const;

    static std::size_t state_size() noexcept;

private:
    friend struct detail::codec::Coder<Condition>;
    using AnyLock = std::variant<RLock, Lock>;
    Condition(detail::ObjectRef object, AnyLock lock) noexcept
        : SharedHandle(std::move(object)), lock_(std::move(lock)) {}
    const detail::BasicLock& basic_lock() const noexcept {
        if (const RLock* recursive = std::get_if<RLock>(&lock_)) return *recursive;
        return *std::get_if<Lock>(&lock_);
    }

    AnyLock lock_;
};

}  // namespace multiproc

namespace multiproc::detail::codec {

template <>
struct Coder<Condition> {
    static constexpr Problem problem = Problem::none;
    using Parts = Types<>;
    static constexpr std::size_t min_size() { return 1 + 2 * sizeof(std::uint64_t); }

    static void put(Encoder& encoder, const Condition& condition) {
        encode_object(encoder.out(), HandleAccess::object(condition));
        const bool is_recursive = condition.lock_.index() == 0;
        encoder.number(static_cast<std::uint8_t>(is_recursive ? 1 : 0));
        encode_object(encoder.out(), HandleAccess::object(condition.basic_lock()));
    }
    static Condition get(Decoder& decoder) {
        ObjectRef object = decode_object(decoder.in(), Condition::kind, Condition::state_size());
        if (decoder.number<std::uint8_t>() != 0) return Condition(std::move(object), Coder<RLock>::get(decoder));
        return Condition(std::move(object), Coder<Lock>::get(decoder));
    }
};

}  // namespace multiproc::detail::codec
