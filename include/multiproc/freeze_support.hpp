/// @file
/// The first line of `main`: where a child process enters.
///
/// ```cpp
/// int main() {
///     multiproc::freeze_support();   // in a child: runs its task and never returns
///     multiproc::Pool pool;
/// }
/// ```
#pragma once

#include <cstdlib>
#include <string>

#include <multiproc/config.hpp>

namespace multiproc {

namespace detail {
using AtExit = int (*)(void (*handler)());
MULTIPROC_API void use_exit_handlers(AtExit at_exit) noexcept;
MULTIPROC_API void enter_program();
}  // namespace detail

/// Call it as the first line of `main` (or `WinMain`; it needs no arguments). In the program itself it returns at once.
/// In a child process it runs what the child was started for and never returns; so what `main` does before it happens
/// again in every child. Processes and pools cannot be started before it was called: a program that forgets it gets a
/// BootstrapError, never a cascade of processes. A second call does nothing.
/// A child whose `main` does not come here within 30 seconds (MULTIPROC_BOOTSTRAP_TIMEOUT, in seconds, changes that)
/// ends with a message on standard error.
/// Source: Python's `multiprocessing.freeze_support`, which is needed on Windows only; here it is the same everywhere.
inline void freeze_support() {
    // At the program's end its children are joined. For that the library needs the std::atexit of the program itself,
    // since a Windows DLL's own comes when all other threads are gone; hence a function that is compiled here.
    detail::use_exit_handlers([](void (*handler)()) { return std::atexit(handler); });
    detail::enter_program();
}

/// For code in a shared library whose host program is not ours (a plugin in an office suite, a module of a script
/// language): starts children as the program `path` instead of the host's executable. The library installs
/// `multiproc-worker` for this; it loads the shared library that a task lies in. Also stands for the call to
/// `freeze_support()`. Tasks must then lie in shared libraries, which use the shared build of multiproc. On Windows the
/// children of such a library end with the program, since it cannot join them so late.
/// `path`: absolute, UTF-8; an empty one goes back to this executable. Thread-safe.
/// Source: Python's `multiprocessing.set_executable`.
MULTIPROC_API void set_executable(const std::string& path);

}  // namespace multiproc
