/// @file
/// What a task can ask about the process it runs in.
///
/// ```cpp
/// void open_log() {                                  // a pool's initializer
///     static std::ofstream log("worker.log");
///     multiproc::at_worker_exit([] { log.flush(); });
/// }
/// ```
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <multiproc/config.hpp>

namespace multiproc {

/// A process as seen from inside or from a relative. A plain value.
struct ProcessInfo {
    std::string name;       ///< "MainProcess", "Process-2", "PoolWorker-1", or what the options said
    std::uint32_t pid = 0;  ///< its process id; 0: there is no such process
    bool daemon = false;    ///< whether it is ended with its parent rather than awaited

    /// Whether there is such a process at all: `if (auto parent = multiproc::parent_process())`.
    explicit operator bool() const noexcept { return pid != 0; }
};

/// The calling process. Thread-safe. Source: Python's `multiprocessing.current_process`.
MULTIPROC_API ProcessInfo current_process();

/// The process that started this one; empty (`pid` 0) in the main process. Thread-safe.
/// Source: Python's `multiprocessing.parent_process`.
MULTIPROC_API ProcessInfo parent_process();

/// The number of processors that this process may use: from its affinity and its control group's quota, at least 1.
/// Thread-safe. Source: Python's `multiprocessing.cpu_count`, and `os.process_cpu_count` for what it counts.
MULTIPROC_API std::size_t cpu_count();

/// Registers `function` to run in this child process before it leaves in good order (its function returned, or the pool
/// was closed), the last registered first. Workers leave without running static destructors, so what must be flushed or
/// removed belongs here. Not run when the process is terminated or dies. In a process that is no child it runs at exit.
/// What it throws is written to standard error. Thread-safe.
MULTIPROC_API void at_worker_exit(std::function<void()> function);

}  // namespace multiproc
