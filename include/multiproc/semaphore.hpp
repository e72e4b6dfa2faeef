/// @file
/// Semaphores that processes and threads share.
///
/// ```cpp
/// const multiproc::Semaphore downloads(4);          // at most four at a time, whoever they are
/// pool.starmap(download, std::views::transform(urls, [&](const auto& url) { return std::tuple(downloads, url); }));
/// ```
///
/// They are handles, as Lock is: see lock.hpp. A permit that a process has when it dies is lost, as nobody knows whose
/// it was.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <multiproc/call_options.hpp>
#include <multiproc/config.hpp>
#include <multiproc/detail/shared_handle.hpp>
#include <multiproc/timeout.hpp>

namespace multiproc {

namespace detail {

/// What both kinds have. All functions are thread-safe, throw ClosedError in a copy of the program that the host forked,
/// and StartError when more than 1024 threads of the program wait at once.
class MULTIPROC_API BasicSemaphore : public SharedHandle {
public:
    static constexpr ObjectKind kind = ObjectKind::semaphore;

    /// Takes a permit; waits until there is one, at most `timeout` if that is given (zero or negative only tries), and not
    /// at all if `block` is false. Returns whether it has one.
    bool acquire(bool block = true, std::optional<Timeout> timeout = std::nullopt) const;
    /// The names of std::counting_semaphore.
    bool try_acquire() const { return acquire(false); }
    bool try_acquire_for(Timeout timeout) const { return acquire(true, timeout); }

    /// Gives `count` permits back, and wakes as many who wait. Throws std::invalid_argument if `count` is less than 1,
    /// std::overflow_error if there would be more than 2147483647; a BoundedSemaphore throws std::logic_error if there
    /// would be more than it began with. Nothing is given back then.
    void release(Count count = 1) const;

    /// How many permits there are at the moment. Source: Python's `get_value`.
    std::uint32_t get_value() const;

    static std::size_t state_size() noexcept;

protected:
    explicit BasicSemaphore(ObjectRef object) noexcept : SharedHandle(std::move(object)) {}
    BasicSemaphore(const BasicSemaphore&) noexcept = default;
    BasicSemaphore& operator=(const BasicSemaphore&) noexcept = default;
    ~BasicSemaphore() = default;

    static ObjectRef make(Count value, bool is_bounded);
};

}  // namespace detail

/// A number of permits. Source: Python's `multiprocessing.Semaphore`.
class MULTIPROC_API Semaphore final : public detail::BasicSemaphore {
public:
    /// Throws std::invalid_argument if `value` is negative or more than 2147483647, and what Lock throws.
    explicit Semaphore(Count value = 1) : Semaphore(detail::OfObject{}, make(value, false)) {}

private:
    friend struct detail::HandleAccess;
    Semaphore(detail::OfObject, detail::ObjectRef object) noexcept : BasicSemaphore(std::move(object)) {}
};

/// A Semaphore that never has more permits than it began with, so that a release too many is found.
/// Source: Python's `multiprocessing.BoundedSemaphore`.
class MULTIPROC_API BoundedSemaphore final : public detail::BasicSemaphore {
public:
    /// As for Semaphore.
    explicit BoundedSemaphore(Count value = 1) : BoundedSemaphore(detail::OfObject{}, make(value, true)) {}

private:
    friend struct detail::HandleAccess;
    BoundedSemaphore(detail::OfObject, detail::ObjectRef object) noexcept : BasicSemaphore(std::move(object)) {}
};

}  // namespace multiproc

namespace multiproc::detail::codec {
template <>
struct Coder<Semaphore> : HandleCoder<Semaphore> {};
template <>
struct Coder<BoundedSemaphore> : HandleCoder<BoundedSemaphore> {};
}  // namespace multiproc::detail::codec
