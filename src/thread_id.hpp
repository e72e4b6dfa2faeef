// This thread as the owner of something in shared memory: one word that no other thread of the program has, and by which
// others find out whether its process lives.
#pragma once

#include <cstdint>

#include "runtime.hpp"

namespace multiproc {

class ThreadId {
public:
    static constexpr std::uint64_t none = 0;

    // This thread's. In a copy of the process, made by fork, it is another than in the original.
    static std::uint64_t current() { return cached_.pid == os::current_pid() ? cached_.word : make(); }

    // Whether the process of that thread lives. (Its thread may have ended: a process that loses one has a bug.)
    static bool is_alive(std::uint64_t word) noexcept { return Runtime::get().is_alive(process_of(word)); }
    static Runtime::ProcessRef process_of(std::uint64_t word) noexcept {
        return Runtime::ProcessRef::unpack_short(static_cast<std::uint32_t>(word));
    }

    // A bit that no such word has.
    static constexpr std::uint64_t flag = std::uint64_t{1} << 63;

private:
    struct Cached {
        std::uint32_t pid;
        std::uint64_t word;
    };
    static std::uint64_t make();
    static thread_local Cached cached_;
};

}  // namespace multiproc
