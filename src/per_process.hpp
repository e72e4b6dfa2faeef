// Objects of which each process has its own, also one that is a copy of another made by fork.
#pragma once

#include <atomic>
#include <cstdint>

#include "os.hpp"

namespace multiproc {

// The `T` of this process. It is made at the first call and never destroyed, since threads of the library may outlive
// main. A copy of the process gets a fresh one: in the original's, a thread that does not exist in the copy may hold a
// mutex, or be halfway through a change. Thread-safe.
template <class T>
T& of_this_process() {
    struct Owned {
        std::uint32_t pid = os::current_pid();
        T value{};
        Owned* original = nullptr;  // kept reachable for leak checkers
    };
    static std::atomic<Owned*> current{nullptr};
    const std::uint32_t pid = os::current_pid();
    Owned* owned = current.load(std::memory_order_acquire);
    while (owned == nullptr || owned->pid != pid) {
        auto* const fresh = new Owned;
        fresh->original = owned;
        if (current.compare_exchange_strong(owned, fresh, std::memory_order_acq_rel)) return fresh->value;
        delete fresh;
    }
    return owned->value;
}

}  // namespace multiproc
