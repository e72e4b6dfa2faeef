// Becoming a proper child, and ending as one. Directory, environment, affinity and limits were given to CreateProcess
// or are inherited by every process, and a handle list leaves nothing to close.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>

#include <fcntl.h>
#include <io.h>

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

void flush(std::ostream& stream) noexcept {
    try {
        stream.flush();
    } catch (...) {  // the program may have asked for exceptions from it
    }
}

LPTOP_LEVEL_EXCEPTION_FILTER previous_filter = nullptr;

LONG WINAPI end_with_the_exception(EXCEPTION_POINTERS* exception) {
    // The C runtime's filter, and a crash reporter that the program installed, come first.
    if (previous_filter != nullptr && previous_filter(exception) == EXCEPTION_CONTINUE_EXECUTION) {
        return EXCEPTION_CONTINUE_EXECUTION;
    }
    exit_now(exception->ExceptionRecord->ExceptionCode);
}

// A child has no user who could answer a message box, and its parent waits to hear of its end: an error that nobody
// handles ends it at once, with the code of the error, before the system starts a debugger or collects a report.
void end_at_once_on_errors() {
    SetErrorMode(GetErrorMode() | SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX);
    previous_filter = SetUnhandledExceptionFilter(end_with_the_exception);
    _set_error_mode(_OUT_TO_STDERR);
#if defined(_MSC_VER) || defined(_UCRT)
    // So that abort() is exit code 3, as it is with the older C runtime, and not the code of a detected buffer overrun.
    _set_abort_behavior(0, _CALL_REPORTFAULT);
#endif
}

void name_this_thread(const std::string& name) {
    using SetDescription = HRESULT(WINAPI*)(HANDLE, PCWSTR);  // from Windows 10 1607 on
    const auto set = system_function<SetDescription>(L"kernel32.dll", "SetThreadDescription");
    if (set != nullptr) set(GetCurrentThread(), widen(name).c_str());
}

}  // namespace

void settle(Bootstrap& bootstrap, const std::string& name) {
    end_at_once_on_errors();
    std::signal(SIGINT, SIG_DFL);

    watch_parent(duplicate_with(native(bootstrap.parent.raw()), 0, false), std::move(bootstrap.control));
    try {
        name_this_thread(name);
    } catch (const std::exception&) {  // a name that is not UTF-8 is for debuggers only
    }
    flush(std::cout);
    flush(std::cerr);
    flush(std::clog);
    install_stream(std::move(bootstrap.out), STD_OUTPUT_HANDLE, stdout, 1);
    install_stream(std::move(bootstrap.err), STD_ERROR_HANDLE, stderr, 2);
}

void exit_now(std::uint32_t code) noexcept {
    // ExitProcess would first end the other threads, at whatever lock they hold, and then run the libraries'
    // destructors.
    TerminateProcess(GetCurrentProcess(), code);
    for (;;) Sleep(INFINITE);
}

void flush_streams() noexcept {
    const BadDescriptorsAreErrors guard;
    flush(std::cout);
    flush(std::cerr);
    flush(std::clog);
    std::fflush(nullptr);
}

void print_error(const std::string& text) noexcept {
    const BadDescriptorsAreErrors guard;
    std::fputs(text.c_str(), stderr);
    std::fflush(stderr);
}

}  // namespace multiproc::os
