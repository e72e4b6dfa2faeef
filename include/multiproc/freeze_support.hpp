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

#include <string>

#include <multiproc/config.hpp>

namespace multiproc {

/// Call it as the first line of `main` (or `WinMain`; it needs no arguments). In the program itself it returns at once.
/// In a child process it runs what the child was started for and never returns; so what `main` does before it happens
/// again in every child. Processes and pools cannot be started before it was called: a program that forgets it gets a
/// BootstrapError, never a cascade of processes. A second call does nothing.
/// A child whose `main` does not come here within 30 seconds (MULTIPROC_BOOTSTRAP_TIMEOUT, in seconds, changes that)
/// ends with a message on standard error.
/// Source: Python's `multiprocessing.freeze_support`, which is needed on Windows only; here it is the same everywhere.
MULTIPROC_API void freeze_support();

/// For code in a shared library whose host program is not ours (a plugin in an office suite, a module of a script
/// language): starts children as the program `path` instead of the host's executable. The library installs
/// `multiproc-worker` for this; it loads the shared library that a task lies in. Also stands for the call to
/// `freeze_support()`. Tasks must then lie in shared libraries, which use the shared build of multiproc.
/// `path`: absolute, UTF-8; an empty one goes back to this executable. Thread-safe.
/// Source: Python's `multiprocessing.set_executable`.
MULTIPROC_API void set_executable(const std::string& path);

}  // namespace multiproc
