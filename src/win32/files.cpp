#include <string>

#include "os.hpp"
#include "win32/api.hpp"

namespace multiproc::os {

Handle open_output(const std::string& path, bool append) {
    const std::wstring name = path.empty() ? L"NUL" : widen(path);
    const DWORD access = append ? FILE_APPEND_DATA | SYNCHRONIZE : GENERIC_WRITE;
    const DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    DWORD disposition = append ? OPEN_ALWAYS : CREATE_ALWAYS;
    if (path.empty()) disposition = OPEN_EXISTING;
    const HANDLE file = CreateFileW(name.c_str(), access, share, nullptr, disposition, FILE_ATTRIBUTE_NORMAL, nullptr);
    if (file == INVALID_HANDLE_VALUE) {
        const DWORD error = GetLastError();
        throw_system_error("cannot open " + (path.empty() ? std::string("NUL") : path), error);
    }
    return own(file);
}

}  // namespace multiproc::os
