// What a pool's worker may use of the machine: its share of the processors, and memory.
#pragma once

#include <cstddef>
#include <cstdint>

namespace multiproc {

// How many processors this process should use: all, or in a worker its share of them. A pool made in a worker has so
// many workers if nothing else is said, so that nested pools share the machine instead of multiplying.
std::size_t processor_share(std::size_t all);

// Which variables that libraries read their number of threads from this process got from its pool, and has not changed:
// its own workers may change them, though the environment that they inherit has them.
std::uint32_t given_thread_variables();

// In a worker, before any code of the user's. `threads` is its share of the processors, 0 for no limit: libraries that
// have a pool of threads in each process (OpenMP, BLAS, TBB's users) are told, where the environment does not say
// otherwise (`inherited`: the parent's given_thread_variables, which do not count as said). `memory` is in bytes, 0 for no limit; `is_confined`: it has no shared objects, for which else
// room is set aside. Throws std::system_error.
void apply_worker_limits(std::uint32_t threads, std::uint32_t inherited, std::uint64_t memory, bool is_confined);

}  // namespace multiproc
