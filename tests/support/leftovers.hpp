// What a process holds of the system: to find out whether a test left something behind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace multiproc::test {

// The descriptors or HANDLEs that this process has open.
std::size_t open_handles();

// The processes below this one that have not been reaped, zombies included. Zombies whose parent died are not found.
std::vector<std::uint32_t> descendants();

// Whether `pid` names a process that has not ended; a zombie has.
bool is_running(std::uint32_t pid);

}  // namespace multiproc::test
