// This process and its descendants, as /proc shows them: what they did so far, and their memory.
#pragma once

#include <sys/types.h>

#include <vector>

namespace bench {

/// This process and all that descend from it: workers, and the fork server.
std::vector<pid_t> family();

/// What threads did.
struct Activity {
    double seconds = 0;   ///< on a processor
    double wake_ups = 0;  ///< times that a thread was put on one
    double sleeps = 0;    ///< times that a thread gave its processor away to wait

    Activity& operator+=(const Activity& other);
    friend Activity operator-(const Activity& left, const Activity& right) {
        return {left.seconds - right.seconds, left.wake_ups - right.wake_ups, left.sleeps - right.sleeps};
    }
};

/// Sums over all threads of the processes. `with_caller`: whether the calling thread counts.
/// Throws std::runtime_error if the system does not say (it needs /proc/PID/schedstat).
Activity activity_of(const std::vector<pid_t>& pids, bool with_caller);

/// Bytes. `rss` counts pages that processes share in each of them, `pss` its part of each.
struct Memory {
    double rss = 0;
    double pss = 0;
    double own = 0;  ///< in no other process
};

Memory memory_of(pid_t pid);

}  // namespace bench
