// From the durations of the public interface to points in time.
#pragma once

#include <chrono>
#include <optional>

#include <multiproc/timeout.hpp>

#include "os.hpp"

namespace multiproc {

// `start + timeout`, or never if that is too far away to be reached.
inline os::Deadline deadline_from(os::Clock::time_point start, std::chrono::nanoseconds timeout) noexcept {
    return timeout < os::never - start ? start + timeout : os::never;
}

// Now, for a zero or negative timeout; never, for one that is too long to be reached.
inline os::Deadline deadline_after(std::chrono::nanoseconds timeout) noexcept {
    const os::Deadline now = os::Clock::now();
    if (timeout <= std::chrono::nanoseconds::zero()) return now;
    return deadline_from(now, timeout);
}

// The same, and never if there is none.
inline os::Deadline deadline_or_never(const std::optional<Timeout>& timeout) noexcept {
    return timeout ? deadline_after(*timeout) : os::never;
}

}  // namespace multiproc
