// The leash: how the kernel ends a fork server's children with the process that asked for them, without a thread in each
// child that waits for that.
//
// It is a pipe for each process that has such children. Each child has the reading end, opened for itself alone, and has
// told the kernel to send it SIGKILL when something happens there; nothing is ever written, so that is when the last
// writing end is closed. Two processes have one:
//
// - the process itself, so that its end is enough, and the end of the server, which must not touch running children, is
//   not. A copy that the program makes of itself closes it at once (pthread_atfork).
// - the server, so that a program that closes all its descriptors, as some do to become a daemon, does not kill its
//   children. It watches the process by its pidfd, and ends the children itself when that ends: also if a copy that was
//   made by a bare clone holds the pipe open.
//
// Linux only, and where /proc is there to open the pipe anew: the receiver of the signal belongs to what `open` made, and
// children cannot share that. Elsewhere a thread waits: see parent_death.cpp.
#pragma once

#include <optional>
#include <string>

#include "descriptors.hpp"

namespace multiproc::os::posix {

struct Leash {
    RawHandle reader = no_handle, writer = no_handle;  // borrowed
};
// This process's own, made when it is first needed. Nothing where the system cannot do it. Throws std::system_error.
std::optional<Leash> own_leash();

// In a server: the name under which a child it forks can open the reading end anew; empty if there is none.
std::string leash_name(const Handle& reader);
// In a new child: from now on it ends with the process whose leash that is. False where that cannot be had.
bool hold_leash(const std::string& name) noexcept;
// Whether this process does so. A copy of it does not.
bool is_leashed() noexcept;

}  // namespace multiproc::os::posix
