// Becoming a proper child, and ending as one. Directory, environment, affinity and limits were given to CreateProcess
// or are inherited by every process, and a handle list leaves nothing to close.
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>

#include <crtdbg.h>
#include <fcntl.h>
#include <io.h>

#include "streams.hpp"
#include "win32/bootstrap.hpp"
#include "win32/crt.hpp"
#include "win32/parent.hpp"

namespace multiproc::os {

namespace {

// Makes `handle` what the process, the C runtime and, through that, the streams of C++ write to.
void install_stream(Handle handle, DWORD id, std::FILE* file, int descriptor) {
    if (!handle) return;
    const BadDescriptorsAreErrors guard;
    // What main wrote there before belongs to the stream as it was then.
    std::fflush(file);
    if (const int present = _fileno(file); present >= 0) {
        descriptor = present;
    } else {
        // A stream that main closed, or one that never had a file. Opening it takes a descriptor, which then changes
        // what it stands for.
#if defined(_MSC_VER)
        std::FILE* reopened = nullptr;
        freopen_s(&reopened, "NUL", "w", file);
#else
        std::FILE* const reopened = std::freopen("NUL", "w", file);
#endif
        if (reopened != nullptr) descriptor = _fileno(file);
    }
    const int source = _open_osfhandle(handle.raw(), _O_TEXT);
    if (source < 0) throw_system_error("cannot install a standard stream", ERROR_TOO_MANY_OPEN_FILES);
    handle.release();                                // it is the descriptor's now
    const int mode = _setmode(descriptor, _O_TEXT);  // binary, if main asked for that
    const bool installed = _dup2(source, descriptor) == 0;
    _close(source);
    if (!installed) throw_system_error("cannot install a standard stream", ERROR_INVALID_HANDLE);
    if (mode != -1) _setmode(descriptor, mode);
    // Reopening has made it a stream with a buffer.
    if (file == stderr) std::setvbuf(file, nullptr, _IONBF, 0);
    // The C runtime tells the system by itself only in programs with a console.
    SetStdHandle(id, native(_get_osfhandle(descriptor)));
}

LPTOP_LEVEL_EXCEPTION_FILTER previous_filter = nullptr;

// The thread that is in `previous_filter`.
std::atomic<DWORD> reporting_thread{0};

LONG WINAPI end_with_the_exception(EXCEPTION_POINTERS* exception) {
    // The C runtime's filter, and a crash reporter that the program installed, come first. That may call this filter, if
    // it found it when it was installed.
    const DWORD self = GetCurrentThreadId();
    if (previous_filter != nullptr && reporting_thread.exchange(self) != self) {
        const LONG decision = previous_filter(exception);
        reporting_thread = 0;
        if (decision == EXCEPTION_CONTINUE_EXECUTION) return decision;
    }
    exit_now(exception->ExceptionRecord->ExceptionCode);
}

// A child has no user who could answer a message box, and its parent waits to hear of its end: an error that nobody
// handles ends it at once, with the code of the error, before the system starts a debugger or collects a report.
void end_at_once_on_errors() noexcept {
    SetErrorMode(GetErrorMode() | SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX);
    const auto filter = SetUnhandledExceptionFilter(end_with_the_exception);
    if (filter != end_with_the_exception) previous_filter = filter;
    _set_error_mode(_OUT_TO_STDERR);
#if defined(_MSC_VER) && defined(_DEBUG)
    // What the debug runtime finds (failed checks, a damaged heap) is another kind of message box.
    for (const int kind : {_CRT_WARN, _CRT_ERROR, _CRT_ASSERT}) {
        _CrtSetReportMode(kind, _CRTDBG_MODE_FILE);
        _CrtSetReportFile(kind, _CRTDBG_FILE_STDERR);
    }
#endif
#if defined(_MSC_VER) || defined(_UCRT)
    // So that abort() is exit code 3, as it is with the older C runtime, and not the code of a detected buffer overrun.
    // The message would be a box in a program with windows.
    _set_abort_behavior(0, _WRITE_ABORT_MSG | _CALL_REPORTFAULT);
#endif
}

// What runs before freeze_support, static initialisers included, has no user either.
[[maybe_unused]] const bool is_quiet_from_the_start = [] {
    const bool is_child = is_bootstrap_pending();
    if (is_child) end_at_once_on_errors();
    return is_child;
}();

void name_this_thread(const std::string& name) {
    using SetDescription = HRESULT(WINAPI*)(HANDLE, PCWSTR);  // from Windows 10 1607 on
    const auto set = system_function<SetDescription>(L"kernel32.dll", "SetThreadDescription");
    if (set != nullptr) set(GetCurrentThread(), widen(name).c_str());
}

}  // namespace

void settle(Bootstrap& bootstrap, const std::string& name) {
    end_at_once_on_errors();  // once more, since main may have changed it
    std::signal(SIGINT, SIG_DFL);
    // "Ignore Ctrl+C" is inherited, and then no handler is called at all.
    SetConsoleCtrlHandler(nullptr, FALSE);

    watch_parent(duplicate_with(native(bootstrap.parent.raw()), 0, false), std::move(bootstrap.control));
    try {
        name_this_thread(name);
    } catch (const std::exception&) {  // a name that is not UTF-8 is for debuggers only
    }
    flush_streams();
    install_stream(std::move(bootstrap.out), STD_OUTPUT_HANDLE, stdout, 1);
    install_stream(std::move(bootstrap.err), STD_ERROR_HANDLE, stderr, 2);
}

void exit_now(std::uint32_t code) noexcept {
    // ExitProcess would first end the other threads, at whatever lock they hold, and then run the libraries'
    // destructors.
    TerminateProcess(GetCurrentProcess(), code);
    for (;;) Sleep(INFINITE);
}

bool are_threads_ended() noexcept {
    using IsInProgress = BOOLEAN(NTAPI*)();
    const auto is_in_progress = system_function<IsInProgress>(L"ntdll.dll", "RtlDllShutdownInProgress");
    return is_in_progress != nullptr && is_in_progress() != 0;
}

void flush_streams() noexcept {
    const BadDescriptorsAreErrors guard;
    flush_iostreams();
    std::fflush(stdout);
    std::fflush(stderr);
}

void print_error(const std::string& text) noexcept {
    const BadDescriptorsAreErrors guard;
    std::fputs(text.c_str(), stderr);
    std::fflush(stderr);
}

}  // namespace multiproc::os
