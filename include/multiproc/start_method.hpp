/// @file
/// How a child process comes to life.
///
/// ```cpp
/// multiproc::Pool pool({.workers = 4, .start_method = multiproc::StartMethod::spawn});
/// multiproc::set_start_method(multiproc::StartMethod::spawn);   // or for the whole program
/// ```
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <multiproc/config.hpp>

namespace multiproc {

/// How a child process is made. Semantics follow Python's multiprocessing of the same names.
enum class StartMethod : std::uint8_t {
    automatic,   ///< what `set_start_method` chose, else the platform's default
    forkserver,  ///< POSIX: a fork from a clean, single-threaded copy of this executable. Default on Linux
    spawn,       ///< this executable started afresh. Default on macOS, the only method on Windows
    fork,        ///< POSIX: a fork of this process as it is, threads and all their locked mutexes included
};

/// The methods this platform has, its default first. Thread-safe.
/// Source: Python's `multiprocessing.get_all_start_methods`.
MULTIPROC_API std::vector<StartMethod> get_all_start_methods();

/// The method that `StartMethod::automatic` means now. Thread-safe. Source: Python's `get_start_method`.
MULTIPROC_API StartMethod get_start_method();

/// Chooses what `StartMethod::automatic` means for processes and pools started later; `automatic` goes back to the
/// platform's default. Unlike Python's it may be called again. Thread-safe.
/// Throws std::invalid_argument for a method that the platform lacks.
MULTIPROC_API void set_start_method(StartMethod method);

/// "forkserver", "spawn", "fork" or "automatic".
MULTIPROC_API std::string_view to_string(StartMethod method) noexcept;

/// The method of that name. Throws std::invalid_argument, naming the methods there are, for any other text.
MULTIPROC_API StartMethod start_method_from(std::string_view name);

}  // namespace multiproc
