// From the durations of the public interface to points in time.
#pragma once

#include <chrono>

#include "os.hpp"

namespace multiproc {

// Now, for a zero or negative timeout; never, for one that is too long to be reached.
inline os::Deadline deadline_after(std::chrono::nanoseconds timeout) noexcept {
    const os::Deadline now = os::Clock::now();
    if (timeout <= std::chrono::nanoseconds::zero()) return now;
    return timeout < os::never - now ? now + timeout : os::never;
}

}  // namespace multiproc
