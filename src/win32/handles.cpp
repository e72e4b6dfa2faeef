#include <system_error>

#include "win32/api.hpp"

namespace multiproc::os {

void Handle::reset(RawHandle raw) noexcept {
    const RawHandle old = std::exchange(raw_, raw);
    if (!is_object(old)) return;
    const DWORD error = GetLastError();  // a handle is often closed on the way from a failed call to its report
    CloseHandle(native(old));
    SetLastError(error);
}

Handle duplicate(RawHandle raw) {
    if (!is_object(raw)) throw_system_error("cannot duplicate a handle", ERROR_INVALID_HANDLE);
    return duplicate_with(native(raw), 0, false);
}

std::size_t open_handle_count() {
    DWORD count = 0;
    if (GetProcessHandleCount(GetCurrentProcess(), &count) == 0) throw_last_error("cannot count the open handles");
    if (count != 0) return count;
    // Wine says 0, which no running process can have. Handles are multiples of 4, and it gives out the lowest free one.
    constexpr RawHandle longest_gap = 4 * 1024;
    for (RawHandle raw = 4, last = 0; raw - last < longest_gap; raw += 4) {
        DWORD flags = 0;
        if (GetHandleInformation(native(raw), &flags) == 0) continue;
        ++count;
        last = raw;
    }
    return count;
}

}  // namespace multiproc::os
