// Whose rights this process acts with. A fork server is a process of its own, and its children have the rights that it
// was started with: it may only be asked by who has the same.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace multiproc::os::posix {

// What the kernel tells about the calling thread, as text; empty where it does not. Reading it is the dearest part of
// an Identity and serves other questions too, so a start reads it once.
std::string read_own_status();

// The user and group ids, the supplementary groups, session, process group and root directory of this process; on Linux
// also the capabilities, no_new_privs and the seccomp mode of the calling thread, which has its own.
// Not seen: a change of nothing but a namespace, a security module's label or a control group.
struct Identity {
    static Identity current(const std::string& own_status);
    static Identity current() { return current(read_own_status()); }
    friend bool operator==(const Identity&, const Identity&) noexcept = default;

    std::array<std::int64_t, 10> numbers{};
    std::vector<std::int64_t> groups;
    std::string limits;  // the kernel's words for the rest
};

// In a program with other rights than its user's (set-uid, set-gid, file capabilities) the environment is that user's
// word, which this library does not take.
bool is_secure_process() noexcept;
// Throws StartError if a program that this one executes would be such a program, and ignore its bootstrap.
void require_plain_rights();
// Whether who is at the other end of a local socket has this process's user and group, as far as the system tells.
bool has_same_user(int socket) noexcept;

}  // namespace multiproc::os::posix
