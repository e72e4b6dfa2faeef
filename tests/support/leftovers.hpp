// What a process holds of the system: to find out whether a test left something behind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace multiproc::test {

// The descriptors or HANDLEs that this process has open.
std::size_t open_handles();

// How many handles a process keeps for every place in which a child of it, or a thread of its own, has ever slept: on
// Windows such a place is an event, which is made at its first use and serves all who sleep there later.
std::size_t kept_handles_per_sleeper();

// The processes below this one that have not been reaped, zombies included. Zombies whose parent died are not found.
std::vector<std::uint32_t> descendants();

// Whether `pid` names a process that has not ended; a zombie has.
bool is_running(std::uint32_t pid);

}  // namespace multiproc::test
