/// @file
/// What a pool has done so far.
///
/// ```cpp
/// const multiproc::PoolStats stats = pool.stats();
/// std::cout << stats.tasks << " tasks, " << stats.failures << " failed, " << stats.restarts << " workers replaced\n";
/// ```
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace multiproc {

/// What one worker has done. Times are measured for one small task in sixteen and for every longer one, and cover the
/// others by extrapolation.
struct WorkerStats {
    std::string name;
    std::uint32_t pid = 0;
    std::uint64_t tasks = 0;               ///< with a result or an error
    std::uint64_t failures = 0;            ///< of them with an error
    std::uint64_t messages = 0;            ///< that brought it tasks
    std::uint64_t bytes_sent = 0;          ///< of arguments
    std::uint64_t bytes_received = 0;      ///< of results
    std::chrono::nanoseconds running{0};   ///< time in tasks...
    std::chrono::nanoseconds encoding{0};  ///< ... of which so much went into decoding arguments and encoding results
    std::chrono::nanoseconds waiting{0};   ///< the rest of its time since its start
};

/// The sums over all workers that ever were, and the workers there are now.
struct PoolStats {
    std::uint64_t tasks = 0;
    std::uint64_t failures = 0;
    std::uint64_t restarts = 0;       ///< workers started in the place of others that died
    std::uint64_t waiting_tasks = 0;  ///< submitted and without a result
    std::uint64_t messages = 0;
    std::uint64_t bytes_sent = 0;
    std::uint64_t bytes_received = 0;
    std::chrono::nanoseconds running{0};
    std::chrono::nanoseconds encoding{0};
    std::vector<WorkerStats> workers;
};

}  // namespace multiproc
