// What a test build needs to die at a point: other builds do not compile this file.
#include "die_here.hpp"
#include "win32/api.hpp"
#include "win32/exit_codes.hpp"

namespace multiproc::os {

std::byte* map_file(const char* path, std::size_t size) noexcept {
    HANDLE const file = CreateFileA(path, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, nullptr,
                                    OPEN_EXISTING, 0, nullptr);
    if (file == INVALID_HANDLE_VALUE) return nullptr;
    HANDLE const mapping = CreateFileMappingW(file, nullptr, PAGE_READWRITE, 0, static_cast<DWORD>(size), nullptr);
    CloseHandle(file);
    if (mapping == nullptr) return nullptr;
    void* const memory = MapViewOfFile(mapping, FILE_MAP_ALL_ACCESS, 0, 0, size);
    CloseHandle(mapping);
    return static_cast<std::byte*>(memory);
}

void die() noexcept {
    for (;;) TerminateProcess(GetCurrentProcess(), killed_code);
}

}  // namespace multiproc::os
