#include <windows.h>

#include "support/die.hpp"

namespace multiproc::test {

void kill_process(std::uint32_t pid) {
    const HANDLE process = OpenProcess(PROCESS_TERMINATE, FALSE, pid);
    if (process == nullptr) return;
    TerminateProcess(process, 9);
    CloseHandle(process);
}

void die(Death death) {
    switch (death) {
        case Death::kill: TerminateProcess(GetCurrentProcess(), 9); break;
        case Death::abort: std::abort();
        case Death::bad_access:
            SetErrorMode(SEM_NOGPFAULTERRORBOX);  // no window that waits for a click
            RaiseException(EXCEPTION_ACCESS_VIOLATION, EXCEPTION_NONCONTINUABLE, 0, nullptr);
            break;
        case Death::exit: std::exit(7);
        case Death::quick_exit: std::_Exit(8);
        case Death::terminate: std::terminate();
    }
    std::abort();
}

bool is_how(const ExitStatus& status, Death death) {
    switch (death) {
        case Death::kill: return status == ExitStatus::exited(9);
        case Death::abort:
        case Death::terminate: return status == ExitStatus::exited(3);  // what the C runtime's abort exits with
        case Death::bad_access: return status == ExitStatus::signalled(0xC0000005);
        case Death::exit: return status == ExitStatus::exited(7);
        case Death::quick_exit: return status == ExitStatus::exited(8);
    }
    return false;
}

}  // namespace multiproc::test
