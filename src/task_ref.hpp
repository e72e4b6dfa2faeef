// How a task is named to another process, and found there.
//
// A task travels as the offset of its descriptor (and of its function) in a module, with the module's build identity.
// The executable is the same on both sides, which the bootstrap has checked, so it needs no name in the message.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

#include <multiproc/detail/task.hpp>

#include "ring.hpp"

namespace multiproc {

struct TaskRef {
    std::uint64_t descriptor = 0;
    std::uint64_t function = 0;
    std::uint64_t signature = 0;
    std::string modules;  // encoded; empty if all is in the executable
    std::string name;     // for people
};

// The reference for `target`, made once and kept. Thread-safe.
// Throws BootstrapError for a task that other processes of this program cannot find.
std::shared_ptr<const TaskRef> refer(const detail::TaskTarget& target);

struct ResolvedTask {
    const detail::TaskDescriptor* descriptor = nullptr;
    const void* function = nullptr;
    std::string name;
};

// Finds tasks in a worker, and remembers them. One thread.
class TaskResolver {
public:
    // Throws BootstrapError if the module is missing, is another build, or has no such task.
    const ResolvedTask& resolve(const CallRecord& call, const std::string& modules);

private:
    struct Key {
        std::uint64_t descriptor, function, signature;
        std::string modules;
        bool operator==(const Key&) const = default;
    };
    struct Hash {
        std::size_t operator()(const Key& key) const noexcept;
    };
    std::unordered_map<Key, ResolvedTask, Hash> known_;
    const std::pair<const Key, ResolvedTask>* last_ = nullptr;
};

}  // namespace multiproc
