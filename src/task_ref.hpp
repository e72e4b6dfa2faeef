// How a task is named to another process, and found there.
//
// A task travels as the offset of its descriptor (and of its function) in a module, with the module's build identity.
// The executable is the same on both sides, which the bootstrap has checked, so it needs no name in the message.
#pragma once

#include <cstdint>
#include <string>

#include <multiproc/detail/task.hpp>

#include "ring.hpp"

namespace multiproc {

// Where a task is: offsets in its modules, and the hash of its signature.
struct TaskPlace {
    std::uint64_t descriptor = 0;
    std::uint64_t function = 0;  // 0: there is none
    std::uint64_t signature = 0;
};

struct TaskRef {
    std::uint32_t number = 0;  // counts the tasks of this process
    TaskPlace place;
    detail::TaskTarget target;  // in this process
    std::string modules;        // encoded; empty if all is in the executable
    std::string name;           // for people
};

// The reference for `target`, made once and kept for good. Thread-safe.
// Throws BootstrapError for a task that other processes of this program cannot find.
const TaskRef& refer(const detail::TaskTarget& target);

struct ResolvedTask {
    const detail::TaskDescriptor* descriptor = nullptr;
    const void* function = nullptr;

    std::string name() const;  // for people; found when asked for
};

// The task at `place` of `modules` in this process. Throws BootstrapError if the module is missing, is another build, or has no
// such task.
ResolvedTask resolve(const TaskPlace& place, const std::string& modules);

}  // namespace multiproc
