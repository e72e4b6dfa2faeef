/// @file
/// A place where a number of processes and threads wait until all have come.
///
/// ```cpp
/// void work(multiproc::Barrier all_ready, int part) {
///     prepare(part);
///     if (all_ready.wait() == 0) std::puts("all are ready");   // exactly one of them gets 0
///     run(part);
/// }
/// ```
///
/// A Barrier is a handle, as Lock is: see lock.hpp. It can be used again and again, round after round.
///
/// It breaks for all when one who waits runs into a timeout, when its action throws or its process dies with the action,
/// or when somebody calls `abort`; then every `wait` throws BrokenBarrierError until `reset`. A process that dies while it
/// waits has come: the others get through without it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>

#include <multiproc/call_options.hpp>
#include <multiproc/config.hpp>
#include <multiproc/detail/shared_handle.hpp>
#include <multiproc/timeout.hpp>

namespace multiproc {

/// All functions are thread-safe, throw ClosedError in a copy of the program that the host forked, and StartError when
/// more than 1024 threads of the program wait at once.
/// Source: Python's `multiprocessing.Barrier`; but the action is given to `wait`, where it is run.
class MULTIPROC_API Barrier final : public detail::SharedHandle {
public:
    static constexpr detail::ObjectKind kind = detail::ObjectKind::barrier;

    /// For `parties` threads; `timeout`: of each `wait` that gives none. Throws std::invalid_argument unless there are 1
    /// to 65535 parties, and what Lock throws.
    explicit Barrier(Count parties, std::optional<Timeout> timeout = std::nullopt);

    /// Waits until all have come. Returns a number from 0 to `parties() - 1`, another for each of them. Throws
    /// BrokenBarrierError if the barrier breaks or is reset meanwhile, or when the time is over.
    std::uint32_t wait(std::optional<Timeout> timeout = std::nullopt) const { return wait_with(nullptr, timeout); }
    /// The same; the last one to come calls `action` before any of them goes on. If it throws, the barrier breaks, and
    /// what it threw is thrown there.
    std::uint32_t wait(const std::function<void()>& action, std::optional<Timeout> timeout = std::nullopt) const {
        return wait_with(&action, timeout);
    }

    /// Breaks it: who waits, or will, gets BrokenBarrierError.
    void abort() const;
    /// Makes it as new. Who waits gets BrokenBarrierError. While an action runs, that round is over already.
    void reset() const;

    std::uint32_t parties() const;
    /// How many wait at the moment.
    std::uint32_t n_waiting() const;
    bool broken() const;

    static std::size_t state_size() noexcept;

private:
    friend struct detail::HandleAccess;
    Barrier(detail::OfObject, detail::ObjectRef object) noexcept : SharedHandle(std::move(object)) {}
    std::uint32_t wait_with(const std::function<void()>* action, std::optional<Timeout> timeout) const;
};

}  // namespace multiproc

namespace multiproc::detail::codec {
template <>
struct Coder<Barrier> : HandleCoder<Barrier> {};
}  // namespace multiproc::detail::codec
