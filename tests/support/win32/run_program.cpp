#include "../run_program.hpp"

#include <windows.h>

#include <algorithm>
#include <cwctype>
#include <map>
#include <stdexcept>
#include <system_error>

namespace multiproc::test {
namespace {

HANDLE handle_of(std::intptr_t raw) { return reinterpret_cast<HANDLE>(raw); }
std::intptr_t raw_of(HANDLE handle) { return reinterpret_cast<std::intptr_t>(handle); }

[[noreturn]] void fail(const std::string& what) {
    throw std::system_error(static_cast<int>(GetLastError()), std::system_category(), what);
}

std::wstring wide(const std::string& text) {
    std::wstring out(text.size(), L'\0');
    const int length = MultiByteToWideChar(CP_UTF8, 0, text.data(), static_cast<int>(text.size()), out.data(),
                                           static_cast<int>(out.size()));
    out.resize(static_cast<std::size_t>(length));
    return out;
}

// The reading end for us, the writing end to be inherited.
void pipe_of(HANDLE& reading, HANDLE& writing) {
    SECURITY_ATTRIBUTES inherited{sizeof inherited, nullptr, TRUE};
    if (CreatePipe(&reading, &writing, &inherited, 0) == 0) fail("CreatePipe");
    SetHandleInformation(reading, HANDLE_FLAG_INHERIT, 0);
}

std::wstring upper(std::wstring text) {
    std::ranges::transform(text, text.begin(), [](wchar_t c) { return static_cast<wchar_t>(std::towupper(c)); });
    return text;
}

std::wstring environment_with(const std::vector<std::string>& more) {
    std::map<std::wstring, std::wstring> all;
    const auto add = [&all](const std::wstring& item) { all[upper(item.substr(0, item.find(L'=', 1)))] = item; };
    wchar_t* own = GetEnvironmentStringsW();
    for (const wchar_t* item = own; *item != L'\0'; item += std::wstring_view(item).size() + 1) add(item);
    FreeEnvironmentStringsW(own);
    for (const std::string& item : more) add(wide(item));
    std::wstring block;
    for (const auto& [name, item] : all) block += item + L'\0';
    return block + L'\0';
}

}  // namespace

StartedProgram start_program(const std::string& path, const ProgramOptions& options) {
    HANDLE out = nullptr, err = nullptr, child_out = nullptr, child_err = nullptr;
    pipe_of(out, child_out);
    pipe_of(err, child_err);
    SECURITY_ATTRIBUTES inherited{sizeof inherited, nullptr, TRUE};
    const HANDLE in =
        CreateFileW(L"NUL", GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE, &inherited, OPEN_EXISTING, 0, nullptr);
    std::wstring command = L"\"" + wide(path) + L"\"";
    for (const std::string& arg : options.args) command += L" \"" + wide(arg) + L"\"";
    std::wstring env = environment_with(options.env);
    STARTUPINFOW startup{};
    startup.cb = sizeof startup;
    startup.dwFlags = STARTF_USESTDHANDLES;
    startup.hStdInput = in;
    startup.hStdOutput = child_out;
    startup.hStdError = child_err;
    PROCESS_INFORMATION process{};
    // That makes a console, and only its window is left out.
    const DWORD console = options.has_own_console ? CREATE_NO_WINDOW : 0;
    const BOOL started = CreateProcessW(wide(path).c_str(), command.data(), nullptr, nullptr, TRUE,
                                        CREATE_UNICODE_ENVIRONMENT | console, env.data(), nullptr, &startup, &process);
    const DWORD error = GetLastError();
    CloseHandle(in);
    CloseHandle(child_out);
    CloseHandle(child_err);
    if (started == 0) {
        CloseHandle(out);
        CloseHandle(err);
        SetLastError(error);
        fail("CreateProcess " + path);
    }
    CloseHandle(process.hThread);
    return {process.dwProcessId, raw_of(process.hProcess), raw_of(out), raw_of(err)};
}

std::size_t read_stream(std::intptr_t stream, char* block, std::size_t size) {
    DWORD count = 0;
    return ReadFile(handle_of(stream), block, static_cast<DWORD>(size), &count, nullptr) != 0 ? count : 0;
}

void close_stream(std::intptr_t stream) { CloseHandle(handle_of(stream)); }

bool wait_program(std::intptr_t process, std::chrono::milliseconds patience, ExitStatus& status) {
    const auto limit = static_cast<DWORD>(std::max<std::int64_t>(patience.count(), 0));
    if (WaitForSingleObject(handle_of(process), limit) != WAIT_OBJECT_0) return false;
    DWORD code = 0;
    GetExitCodeProcess(handle_of(process), &code);
    CloseHandle(handle_of(process));
    status = ExitStatus::exited(code);
    return true;
}

void kill_program(std::intptr_t process) { TerminateProcess(handle_of(process), 1); }
void interrupt_program_and_family(std::uint32_t pid) {
    const ProgramResult result = run_program(program_path("ctrl_c_win32"), {.args = {std::to_string(pid)}});
    if (result.status != ExitStatus::exited(0))
        throw std::runtime_error("ctrl_c_win32 ended with " + to_string(result.status));
}
// What it started ends with it: that is what the library promises.
void kill_program_and_family(std::intptr_t process) { kill_program(process); }

}  // namespace multiproc::test
