/// @file
/// Something that happens once, for all processes and threads that wait for it.
///
/// ```cpp
/// void serve(multiproc::Event stop) {
///     while (!stop.wait_for(std::chrono::seconds(1))) refresh();
/// }
/// ```
///
/// An Event is a handle, as Lock is: see lock.hpp. All functions are thread-safe, throw ClosedError in a copy of the
/// program that the host forked, and StartError when more than 1024 threads of the program wait at once.
#pragma once

#include <cstddef>
#include <optional>

#include <multiproc/config.hpp>
#include <multiproc/detail/shared_handle.hpp>
#include <multiproc/timeout.hpp>

namespace multiproc {

/// Source: Python's `multiprocessing.Event`.
class MULTIPROC_API Event final : public detail::SharedHandle {
public:
    static constexpr detail::ObjectKind kind = detail::ObjectKind::event;

    /// Not set. Throws what Lock throws.
    Event() : Event(detail::OfObject{}, detail::make_object(kind, state_size())) {}

    /// Sets it, which wakes all who wait.
    void set() const;
    /// Who waits from now on waits for the next `set`.
    void clear() const;
    bool is_set() const;

    /// Waits until it is set; at most `timeout` if that is given, and zero or negative only asks. Returns whether it was
    /// set: also if it was set and cleared again while this thread waited.
    bool wait(std::optional<Timeout> timeout = std::nullopt) const;
    bool wait_for(Timeout timeout) const { return wait(timeout); }

    static std::size_t state_size() noexcept;

private:
    friend struct detail::HandleAccess;
    Event(detail::OfObject, detail::ObjectRef object) noexcept : SharedHandle(std::move(object)) {}
};

}  // namespace multiproc

namespace multiproc::detail::codec {
template <>
struct Coder<Event> : HandleCoder<Event> {};
}  // namespace multiproc::detail::codec
