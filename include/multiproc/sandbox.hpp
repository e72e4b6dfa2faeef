/// @file
/// Workers that compute and do nothing else: for what comes from strangers, as pictures and archives do.
///
/// ```cpp
/// Picture decode(const std::vector<std::byte>& file);          // a library with a hole, perhaps
///
/// multiproc::Pool pool({.sandbox = multiproc::Sandbox::compute});
/// Picture picture = pool.apply(decode, read(path));            // this process reads the file, the worker gets its bytes
/// ```
///
/// A sandboxed worker gets bytes and returns bytes. It starts like any other, runs the pool's `.preload` and
/// `.initializer`, which are the program's own code and may open what the tasks need (a model, a font, a log file); then,
/// before its first task, it gives everything else up, for good and for all its threads. There is no way back.
///
/// What a task cannot do then:
///
/// | | Linux | Windows |
/// |---|---|---|
/// | open, create, list, inspect, rename or delete files | refused (`EACCES`) | it cannot change any (but the few that are marked as low integrity); it can read |
/// | open a socket, connect, send to other processes | refused (`EPERM`) | not prevented |
/// | start a process, also by `fork` or `exec` | refused | refused |
/// | signal, trace, or read the memory of other processes | refused | refused, but for those that are as low |
/// | mount, load libraries, change the clock, use `bpf`, `io_uring`, namespaces ... | refused: only listed calls are allowed | the privileges for it are gone |
/// | make memory executable (so no just-in-time compilers) | refused | refused |
///
/// What it can do: compute, use memory and threads, ask for the time and random numbers, throw, exit, crash, print, and
/// use the descriptors it has. What is refused is an error, so that libraries report it; nobody is killed for it. A task
/// whose function lies in a shared library finds it if that was loaded before: by being linked, or by the initializer.
///
/// Memory and time are limits of their own: `PoolOptions::memory_limit` and `CallOptions::timeout`. On Linux the first does
/// not count memory that a hostile task makes by `memfd_create` and never maps.
///
/// Large arguments (of more than 32 KiB) are copied once more for such a pool, into memory of each message's own: a task sees
/// neither those of earlier tasks nor of later ones. Tasks that run in one worker one after the other are not walled off
/// from each other otherwise, and one that took its worker over sees what the next are given. Inputs of people who must
/// not see each other's want a pool each, or `.max_tasks_per_worker = 1`.
///
/// **Shared objects** (queues, locks, values, SharedArrays, proxies, connections) would be a way out of it, so such a
/// worker never maps the memory that processes share: they are refused in arguments, when the task is submitted, and in
/// results, both as CodecError. Nor does it start processes with this library, in its initializer neither.
///
/// Where it is not to be had, a sandboxed pool does not start: StartError says why and what to do. It is never left out
/// silently.
#pragma once

#include <cstdint>
#include <string>

#include <multiproc/config.hpp>

namespace multiproc {

/// What a pool's workers are kept from; see PoolOptions::sandbox.
enum class Sandbox : std::uint8_t {
    none,     ///< nothing: a worker may do what the program may
    compute,  ///< everything but computing, from the end of the initializer on
};

/// Whether sandboxed pools can start here. Thread-safe.
MULTIPROC_API bool sandbox_available();

/// Why they cannot, and what to do about it; empty if they can. Thread-safe.
MULTIPROC_API std::string sandbox_problem();

}  // namespace multiproc
