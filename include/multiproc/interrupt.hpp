/// @file
/// Ctrl+C as an exception, so that a program can clean up, or go on.
///
/// ```cpp
/// int main() {
///     multiproc::freeze_support();
///     const multiproc::InterruptScope interruptible;
///     try {
///         multiproc::Pool pool;
///         save(pool.map(render, scenes));
///     } catch (const multiproc::Interrupted&) {
///         std::cerr << "stopped\n";  // the pool is gone, with all that was running
///         return 130;
///     }
/// }
/// ```
///
/// Without a scope Ctrl+C ends the program, and its workers with it.
#pragma once

#include <cstdint>

#include <multiproc/config.hpp>
#include <multiproc/errors.hpp>

namespace multiproc {

/// While it exists, Ctrl+C does not end the program: the next call of this library that waits in this thread, or waits
/// already, throws Interrupted, once. That can be a wait for a result or a process, for a queue, a pipe, a lock or one of
/// its kin, for a manager's answer or for the network; a call that has what it wants returns that instead. What was
/// waited for is untouched and can be waited for again; the tasks of a `map`, `starmap` or `apply` that was left are
/// cancelled, as nobody can have their results any more. Waiting in destructors, and to take a Condition's lock again, is
/// not interrupted.
///
/// A second Ctrl+C ends the program at once, wherever it is: until the scope has ended, or `rearm` was called, the first
/// is being dealt with. Ctrl+C that no call has thrown when the last scope ends does then what it does without a scope.
///
/// Scopes of one thread may be nested; the outermost counts. Each thread that has one gets its own exception. Ctrl+C is
/// SIGINT on POSIX, whoever sends it (`ProcessHandle::interrupt`, too), which restarts the system's calls that it
/// interrupts; on Windows it is Ctrl+C, Ctrl+Break and the closing of the console, after which the system leaves a
/// program five seconds. Who ignores it (`nohup`, the workers of a pool) goes on ignoring it.
///
/// Source: Python's KeyboardInterrupt, which comes in the main thread, between any two instructions.
class MULTIPROC_API InterruptScope {
public:
    /// Throws std::system_error if the system refuses to tell of Ctrl+C.
    InterruptScope();
    ~InterruptScope();
    InterruptScope(const InterruptScope&) = delete;
    InterruptScope& operator=(const InterruptScope&) = delete;

    /// Whether this thread has one.
    static bool is_active() noexcept;
    /// Whether the next call that waits in this thread throws Interrupted. False in a thread without a scope.
    static bool is_pending() noexcept;
    /// Throws Interrupted if `is_pending()`: for long computations, and loops whose calls never have to wait.
    static void check();
    /// The last Ctrl+C is dealt with: the next one interrupts again, instead of ending the program. For loops that read
    /// one command after the other. One that is pending is forgotten. By the thread that made the scope.
    void rearm() noexcept;
};

/// While it exists, no wait of its thread is interrupted, in or below a scope: for what has to be finished, once begun.
/// Ctrl+C is thrown by the first wait after it. Holds may be nested.
class MULTIPROC_API InterruptHold {
public:
    InterruptHold() noexcept;
    ~InterruptHold();
    InterruptHold(const InterruptHold&) = delete;
    InterruptHold& operator=(const InterruptHold&) = delete;
};

}  // namespace multiproc
