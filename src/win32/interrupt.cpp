#include <atomic>
#include <csignal>

#include "win32/api.hpp"
#include "win32/exit_codes.hpp"

namespace multiproc::os {

namespace {

std::atomic<OnInterrupt> on_interrupt_of_process{nullptr};  // null: not caught

// What the C runtime does on Ctrl+C. There is no portable way to look at it without changing it for a moment.
auto disposition() noexcept {
    const auto handler = std::signal(SIGINT, SIG_IGN);
    if (handler != SIG_IGN && handler != SIG_ERR) std::signal(SIGINT, handler);
    return handler;
}

// Runs in a thread of its own. The last one set is asked first, so the program's, and the C runtime's, are asked when
// this one says FALSE; in the end the system ends the process.
BOOL WINAPI handle(DWORD event) {
    const OnInterrupt on_interrupt = on_interrupt_of_process.load();
    if (on_interrupt == nullptr || !on_interrupt()) return FALSE;
    // The console is being closed, or the session: on return the system would end the process, and does so anyhow after
    // five seconds.
    if (event != CTRL_C_EVENT && event != CTRL_BREAK_EVENT) Sleep(INFINITE);
    return TRUE;
}

}  // namespace

void catch_interrupts(OnInterrupt on_interrupt) {
    if (disposition() == SIG_IGN) return;
    if (SetConsoleCtrlHandler(handle, TRUE) == 0) throw_last_error("Ctrl+C cannot be caught");
    on_interrupt_of_process.store(on_interrupt);
}

void release_interrupts() noexcept {
    if (on_interrupt_of_process.exchange(nullptr) != nullptr) SetConsoleCtrlHandler(handle, FALSE);
}

void ignore_interrupts() noexcept {
    std::signal(SIGINT, SIG_IGN);
    std::signal(SIGBREAK, SIG_IGN);
}

// Runs the C runtime's handler for SIGINT, in this thread, else ends the process. (Nobody but the console can call the
// program's handlers of SetConsoleCtrlHandler.)
void interrupt_this_process() noexcept {
    const auto handler = disposition();
    if (handler == SIG_IGN) return;
    const OnInterrupt on_interrupt = on_interrupt_of_process.load();
    if (on_interrupt != nullptr) {
        if (on_interrupt()) return;
        exit_now(control_c_code);
    }
    // By default `raise` would end the process with exit code 3, which does not tell why.
    if (handler == SIG_DFL || handler == SIG_ERR) exit_now(control_c_code);
    std::raise(SIGINT);
}

}  // namespace multiproc::os
