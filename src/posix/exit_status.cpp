#include <multiproc/exit_status.hpp>

#include <csignal>

namespace multiproc {

std::string signal_name(std::uint32_t number) {
    switch (number) {
        case SIGABRT: return "SIGABRT";
        case SIGALRM: return "SIGALRM";
        case SIGBUS: return "SIGBUS";
        case SIGCHLD: return "SIGCHLD";
        case SIGCONT: return "SIGCONT";
        case SIGFPE: return "SIGFPE";
        case SIGHUP: return "SIGHUP";
        case SIGILL: return "SIGILL";
        case SIGINT: return "SIGINT";
        case SIGKILL: return "SIGKILL";
        case SIGPIPE: return "SIGPIPE";
        case SIGPROF: return "SIGPROF";
        case SIGQUIT: return "SIGQUIT";
        case SIGSEGV: return "SIGSEGV";
        case SIGSTOP: return "SIGSTOP";
        case SIGSYS: return "SIGSYS";
        case SIGTERM: return "SIGTERM";
        case SIGTRAP: return "SIGTRAP";
        case SIGTSTP: return "SIGTSTP";
        case SIGTTIN: return "SIGTTIN";
        case SIGTTOU: return "SIGTTOU";
        case SIGURG: return "SIGURG";
        case SIGUSR1: return "SIGUSR1";
        case SIGUSR2: return "SIGUSR2";
        case SIGVTALRM: return "SIGVTALRM";
        case SIGXCPU: return "SIGXCPU";
        case SIGXFSZ: return "SIGXFSZ";
#if defined(SIGIO)
        case SIGIO: return "SIGIO";
#endif
#if defined(SIGPWR)
        case SIGPWR: return "SIGPWR";
#endif
#if defined(SIGSTKFLT)
        case SIGSTKFLT: return "SIGSTKFLT";
#endif
#if defined(SIGWINCH)
        case SIGWINCH: return "SIGWINCH";
#endif
#if defined(SIGEMT)
        case SIGEMT: return "SIGEMT";
#endif
#if defined(SIGINFO)
        case SIGINFO: return "SIGINFO";
#endif
        default: return "signal " + std::to_string(number);
    }
}

std::string to_string(const ExitStatus& status) {
    switch (status.kind()) {
        case ExitStatus::Kind::exited: return "exited with code " + std::to_string(status.number());
        case ExitStatus::Kind::signalled: return "killed by " + signal_name(status.number());
        case ExitStatus::Kind::unknown: break;
    }
    return "ended in a way that nobody saw";
}

}  // namespace multiproc
