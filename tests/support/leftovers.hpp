// What a process holds of the system: to find out whether a test left something behind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
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

// The pieces of shared memory that this process has mapped. Always 0 on macOS, which tells it in its own way only.
std::size_t mapped_segments();

// Shared memory that has a name in the file system as the library gives them: for one instant, and only where the system
// has no memory without a name. Empty where such names cannot be listed.
std::vector<std::string> named_segments();

// The objects in the memory that all processes of this program share. What the dead have left is given back before, as
// the library does it when it needs the room.
std::size_t shared_objects();

}  // namespace multiproc::test
