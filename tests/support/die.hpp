// Ways for a task to end its process, and how each shows.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <exception>
#include <string>

#include <multiproc/exit_status.hpp>

namespace multiproc::test {

enum class Death : std::uint8_t { kill, abort, bad_access, exit, quick_exit, terminate };
inline constexpr Death every_death[] = {Death::kill, Death::abort,      Death::bad_access,
                                        Death::exit, Death::quick_exit, Death::terminate};

inline std::string name_of(Death death) {
    constexpr const char* names[] = {"kill", "abort", "bad_access", "exit", "quick_exit", "terminate"};
    return names[static_cast<std::size_t>(death)];
}

// Ends the process `pid` as from outside (SIGKILL, TerminateProcess).
void kill_process(std::uint32_t pid);

[[noreturn]] void die(Death death);

// Whether `status` is how a process ends by `death` on this platform.
bool is_how(const ExitStatus& status, Death death);

}  // namespace multiproc::test
