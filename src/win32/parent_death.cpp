// A child dies with its parent in two ways. The kernel kills it when the last handle of the parent's job is closed (see
// launch.cpp), whatever state it is in. Where the child could not be put into that job, a thread of the child waits for
// the parent's process; the same thread carries out what the parent asks for by `Signal::interrupt`.
#include <mutex>
#include <system_error>
#include <thread>

#include "win32/exit_codes.hpp"
#include "win32/parent.hpp"

namespace multiproc::os {

namespace {

struct Parent {
    std::mutex mutex;
    Handle process;
    std::uint32_t pid = 0;
};

// Never destroyed: links may be used until the very end of the program.
Parent& parent_of_this_process() {
    static Parent& parent = *new Parent;
    return parent;
}

[[noreturn]] void watch(const Handle& parent, const Handle& interrupt) noexcept {
    const HANDLE handles[] = {native(parent.raw()), native(interrupt.raw())};
    for (;;) {
        switch (WaitForMultipleObjects(2, handles, FALSE, INFINITE)) {
            case WAIT_OBJECT_0 + 1: interrupt_this_process(); break;
            case WAIT_OBJECT_0:
            default: exit_now(terminated_code);  // an unwatched child could outlive its parent
        }
    }
}

}  // namespace

void remember_parent(Handle process, std::uint32_t pid) {
    Parent& parent = parent_of_this_process();
    const std::lock_guard lock(parent.mutex);
    parent.process = std::move(process);
    parent.pid = pid;
}

void forget_parent() noexcept {
    Parent& parent = parent_of_this_process();
    const std::lock_guard lock(parent.mutex);
    parent.process.reset();
}

Handle process_to_send_to(std::uint32_t pid) {
    constexpr DWORD access = PROCESS_DUP_HANDLE | SYNCHRONIZE;
    if (pid == GetCurrentProcessId()) return duplicate_with(GetCurrentProcess(), access, false);
    Parent& parent = parent_of_this_process();
    const std::lock_guard lock(parent.mutex);
    // As long as its handle is held, no other process gets this pid.
    if (!parent.process || parent.pid != pid) {
        throw std::system_error(std::make_error_code(std::errc::bad_message),
                                "a handle link of a process that is not the parent");
    }
    return duplicate_with(native(parent.process.raw()), access, false);
}

void watch_parent(Handle parent, Handle interrupt) {
    if (WaitForSingleObject(native(parent.raw()), 0) == WAIT_OBJECT_0) exit_now(terminated_code);
    // Detached: it waits until this process ends, and touches nothing that is destroyed earlier.
    std::thread([parent = std::move(parent), interrupt = std::move(interrupt)] { watch(parent, interrupt); }).detach();
}

}  // namespace multiproc::os
