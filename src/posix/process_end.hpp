// What the end of a process is awaited on: on Linux a pidfd, which names one process for good; elsewhere the reading
// end of a pipe whose writing end only that process holds.
#pragma once

#include <sys/types.h>

#include "descriptors.hpp"

namespace multiproc::os::posix {

// Whether this system has pidfds (Linux 5.4; a sandbox may lack them). Throws if that cannot be told now, for want of
// descriptors.
bool has_pidfds();
// The pidfd of a process. Nothing if it has ended and is reaped already. Throws where there are no more descriptors.
Handle open_pidfd(pid_t pid);
// False if that is no pidfd.
bool signal_pidfd(int pidfd, int number) noexcept;

// Blocks all signals in this thread, so that a new thread or process starts with none.
class SignalBlock {
public:
    SignalBlock() noexcept;
    ~SignalBlock();
    SignalBlock(const SignalBlock&) = delete;
    SignalBlock& operator=(const SignalBlock&) = delete;
    // Lets them stay blocked when this object ends.
    void keep() noexcept { keep_ = true; }

private:
    alignas(16) unsigned char before_[128];
    bool keep_ = false;
};

// This process's own, which its children watch. It lives as long as the process.
RawHandle own_end();

// Ends this process when `parent` says that the parent has ended, from now on. Throws if no thread can be made.
void watch_parent(Handle parent, pid_t parent_pid);
// In a fork server: ends the thread that stood guard until it arrived.
void dismiss_guard() noexcept;
// Waits until its thread sleeps. Before a fork: see ExitWatch::pause.
void await_parent_watch() noexcept;

}  // namespace multiproc::os::posix
