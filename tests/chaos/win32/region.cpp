// The ledger's memory: a section with a name, which is gone with its last user.
#include <windows.h>

#include <system_error>

#include "../port.hpp"

namespace chaos::port {

std::string new_region_name() { return "Local\\multiproc-chaos-" + std::to_string(GetCurrentProcessId()); }

void* map_region(const std::string& name, std::size_t size, bool create) {
    const HANDLE section = create ? CreateFileMappingA(INVALID_HANDLE_VALUE, nullptr, PAGE_READWRITE, 0,
                                                       static_cast<DWORD>(size), name.c_str())
                                  : OpenFileMappingA(FILE_MAP_ALL_ACCESS, FALSE, name.c_str());
    void* const memory = section == nullptr ? nullptr : MapViewOfFile(section, FILE_MAP_ALL_ACCESS, 0, 0, size);
    if (memory == nullptr)
        throw std::system_error(static_cast<int>(GetLastError()), std::system_category(), "cannot map the ledger");
    return memory;  // the section's handle is kept, as its name must be
}

void remove_region(const std::string&) noexcept {}

}  // namespace chaos::port
