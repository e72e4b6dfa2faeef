// What a child knows of the process that started it.
#pragma once

#include "win32/api.hpp"

namespace multiproc::os {

// Keeps the handle of the parent (with PROCESS_DUP_HANDLE and SYNCHRONIZE) that `take_bootstrap` found.
void remember_parent(Handle parent, std::uint32_t pid);
// A handle for pushing handles into the process `pid`, which is the parent or this process itself. Throws
// std::system_error (std::errc::bad_message) for any other.
Handle process_to_send_to(std::uint32_t pid);

// Gives that handle up: this process has no power over its parent any more.
void forget_parent() noexcept;

// Starts the thread that waits for the parent's end and for interrupt requests, and makes them happen here. Both
// handles become the thread's. If the parent has ended already, this process ends in this call.
void watch_parent(Handle parent, Handle interrupt);

}  // namespace multiproc::os
