#include <signal.h>

#include "support/die.hpp"

namespace multiproc::test {

void kill_process(std::uint32_t pid) { ::kill(static_cast<pid_t>(pid), SIGKILL); }

void die(Death death) {
    switch (death) {
        case Death::kill: ::raise(SIGKILL); break;
        case Death::abort: std::abort();
        case Death::bad_access:
            ::signal(SIGSEGV, SIG_DFL);  // a sanitizer would turn it into an exit
            ::raise(SIGSEGV);
            break;
        case Death::exit: std::exit(7);
        case Death::quick_exit: std::_Exit(8);
        case Death::terminate: std::terminate();
    }
    std::abort();
}

bool is_how(const ExitStatus& status, Death death) {
    switch (death) {
        case Death::kill: return status == ExitStatus::signalled(SIGKILL);
        case Death::abort:
        case Death::terminate: return status == ExitStatus::signalled(SIGABRT);
        case Death::bad_access: return status == ExitStatus::signalled(SIGSEGV);
        case Death::exit: return status == ExitStatus::exited(7);
        case Death::quick_exit: return status == ExitStatus::exited(8);
    }
    return false;
}

}  // namespace multiproc::test
