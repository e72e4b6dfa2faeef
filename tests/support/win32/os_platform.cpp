#include "../os_child.hpp"

#include <cstdlib>
#include <system_error>

#include "win32/api.hpp"

namespace multiproc::os::test {

Handle temporary_file() {
    wchar_t directory[MAX_PATH + 1];
    wchar_t path[MAX_PATH + 1];
    if (GetTempPathW(MAX_PATH + 1, directory) == 0 || GetTempFileNameW(directory, L"mpt", 0, path) == 0) {
        throw_last_error("cannot name a temporary file");
    }
    // Delete-on-close asks every other opener to allow deletion. Nobody else opens it: children get duplicates.
    return own_or_throw(
        CreateFileW(path, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, nullptr,
                    CREATE_ALWAYS, FILE_ATTRIBUTE_TEMPORARY | FILE_FLAG_DELETE_ON_CLOSE, nullptr),
        "cannot create a temporary file");
}

std::string contents_of(RawHandle file) {
    std::string text;
    char block[4096];
    for (;;) {
        OVERLAPPED from{};
        from.Offset = static_cast<DWORD>(text.size());
        DWORD count = 0;
        if (ReadFile(native(file), block, sizeof block, &count, &from) == 0 || count == 0) return text;
        text.append(block, count);
    }
}

void set_environment(const std::string& name, const std::string& value) { _putenv_s(name.c_str(), value.c_str()); }

ProcessWatch::ProcessWatch(std::uint32_t pid)
    : pid_(pid),
      start_time_(start_time(pid)),
      process_(own_or_throw(OpenProcess(SYNCHRONIZE, FALSE, pid), "no process")) {}

bool ProcessWatch::await_end() {
    const auto limit = static_cast<DWORD>(std::chrono::milliseconds(patience).count());
    return WaitForSingleObject(native(process_.raw()), limit) == WAIT_OBJECT_0;
}

}  // namespace multiproc::os::test
