// Objects that are made when they are first needed, and of which a copy of the process made by fork can rely on having a
// sound one.
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

// The `T` of this program, made at the first call and never destroyed. Unlike a local static it is no lock that a copy of
// the process made by fork could find taken for ever, by a thread that the copy does not have; so `T` should hold none
// either. Thread-safe: of several first callers one wins.
template <class T>
T& of_this_program() {
    static std::atomic<T*> instance{nullptr};
    T* known = instance.load(std::memory_order_acquire);
    if (known != nullptr) return *known;
    auto* const fresh = new T;
    if (instance.compare_exchange_strong(known, fresh, std::memory_order_acq_rel)) return *fresh;
    delete fresh;
    return *known;
}

}  // namespace multiproc
