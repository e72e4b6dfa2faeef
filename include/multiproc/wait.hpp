/// @file
/// Waiting for several things at once: messages, items in queues, ends of processes.
///
/// ```cpp
/// auto [here, there] = multiproc::pipe<std::string>();
/// multiproc::Process worker(serve, there, jobs);
/// there.close();
/// worker.start();
/// for (const std::size_t which : multiproc::wait({worker.sentinel(), here, results}, std::chrono::seconds(10))) {
///     if (which == 0) restart(worker);
///     if (which == 1) log(here.recv());       // or EndOfFile, if that is what has come
///     if (which == 2) show(results.get());
/// }
/// ```
///
/// For results of pools see completion.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <multiproc/config.hpp>
#include <multiproc/detail/queue_core.hpp>
#include <multiproc/pipe.hpp>
#include <multiproc/process.hpp>
#include <multiproc/queue.hpp>
#include <multiproc/timeout.hpp>

namespace multiproc {

class Waitable;

namespace detail {

/// A queue, or a direction of a pipe, as who only wants to know when something comes sees it.
class MULTIPROC_API Incoming final : public QueueCore {
public:
    /// `sender`: the name of the end that sends; 0 if there is none.
    Incoming(const SharedHandle& queue, std::uint64_t sender) noexcept
        : QueueCore(HandleAccess::object(queue)), sender_(sender) {}
    bool ready() const;
    WaitSet& waiters() const { return getters(); }

private:
    std::uint64_t sender_;
};

MULTIPROC_API std::vector<std::size_t> wait_for_any(std::span<const Waitable> things, std::optional<Timeout> timeout);

}  // namespace detail

/// Something to wait for. It refers to the same as what it was made from, and may outlive that.
class MULTIPROC_API Waitable {
public:
    /// Ready when the process has ended.
    Waitable(Sentinel sentinel) : what_(std::move(sentinel)) {}  // NOLINT(google-explicit-constructor)
    /// Ready when `recv` would not wait: there is a message, or the end of file. Throws ClosedError if it is closed.
    template <class In, class Out>
    Waitable(const Connection<In, Out>& connection)  // NOLINT(google-explicit-constructor)
        : what_(detail::Incoming((connection.require_open(), connection.in_), connection.peer_)) {}
    /// Ready when there is an item, which another may get first.
    template <class Q>
        requires std::is_base_of_v<detail::TypedQueue<typename Q::value_type>, Q>
    Waitable(const Q& queue)  // NOLINT(google-explicit-constructor)
        : what_(detail::Incoming(queue, 0)) {}

    /// Whether it is, at the moment. Thread-safe. Throws ClosedError if the queue was closed.
    bool ready() const;

private:
    friend std::vector<std::size_t> detail::wait_for_any(std::span<const Waitable>, std::optional<Timeout>);
    WaitSet& waiters() const;

    std::variant<Sentinel, detail::Incoming> what_;
};

/// Waits until at least one of `things` is ready or `timeout` has passed, and returns the places of those that are, in
/// ascending order; none after a timeout. A zero or negative timeout asks without waiting; none (the default) waits for
/// ever. Nothing is taken, and nothing polls: a message, an item and the end of a process wake the waiter at once, and so
/// does the end of file when an end is closed; if that goes with a process that is killed, within 50 ms.
/// (Of Sentinels alone, the `wait` of process.hpp returns those that are ready themselves.)
/// Throws std::invalid_argument if there is nothing to wait for and no timeout, ClosedError if a queue was closed,
/// StartError when more than 1024 threads of the program wait at once. Thread-safe.
/// Source: Python's `multiprocessing.connection.wait`.
template <class Thing = Waitable>  // a template, so that it yields to the other one where both would do
std::vector<std::size_t> wait(std::initializer_list<std::type_identity_t<Thing>> things,
                              std::optional<Timeout> timeout = std::nullopt) {
    return detail::wait_for_any({things.begin(), things.size()}, timeout);
}
/// The same for those in an array or a vector.
template <class Thing = Waitable>
std::vector<std::size_t> wait(std::span<const std::type_identity_t<Thing>> things,
                              std::optional<Timeout> timeout = std::nullopt) {
    return detail::wait_for_any(things, timeout);
}

}  // namespace multiproc
