#include "../leftovers.hpp"

#include <windows.h>

#include <tlhelp32.h>

#include <map>

namespace multiproc::test {
namespace {

// Ids of processes to those of their parents.
std::map<std::uint32_t, std::uint32_t> all_processes() {
    std::map<std::uint32_t, std::uint32_t> all;
    const HANDLE snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
    if (snapshot == INVALID_HANDLE_VALUE) return all;
    PROCESSENTRY32W entry{};
    entry.dwSize = sizeof entry;
    for (BOOL more = Process32FirstW(snapshot, &entry); more != 0; more = Process32NextW(snapshot, &entry))
        all[entry.th32ProcessID] = entry.th32ParentProcessID;
    CloseHandle(snapshot);
    return all;
}

}  // namespace

std::size_t open_handles() {
    DWORD count = 0;
    if (GetProcessHandleCount(GetCurrentProcess(), &count) != 0 && count != 0) return count;
    // Wine says 0. Handles are multiples of 4, and it gives out the lowest free one.
    constexpr std::uintptr_t longest_gap = 4 * 1024;
    std::size_t found = 0;
    for (std::uintptr_t raw = 4, last = 0; raw - last < longest_gap; raw += 4) {
        DWORD flags = 0;
        if (GetHandleInformation(reinterpret_cast<HANDLE>(raw), &flags) == 0) continue;
        ++found;
        last = raw;
    }
    return found;
}

std::size_t kept_handles_per_sleeper() { return 3; }

std::vector<std::uint32_t> descendants() {
    const std::map<std::uint32_t, std::uint32_t> all = all_processes();
    const std::uint32_t self = GetCurrentProcessId();
    std::vector<std::uint32_t> found;
    for (const auto& [pid, parent] : all) {
        std::uint32_t ancestor = pid == self ? 0 : parent;
        // Parents may be gone and their ids used again, so the way up could be a circle.
        for (int steps = 0; ancestor != 0 && ancestor != self && steps < 64; ++steps) {
            const auto next = all.find(ancestor);
            ancestor = next == all.end() ? 0 : next->second;
        }
        if (ancestor == self) found.push_back(pid);
    }
    return found;
}

bool is_running(std::uint32_t pid) {
    const HANDLE process = OpenProcess(SYNCHRONIZE, FALSE, pid);
    if (process == nullptr) return false;
    const bool running = WaitForSingleObject(process, 0) == WAIT_TIMEOUT;
    CloseHandle(process);
    return running;
}

std::size_t mapped_segments() {
    std::size_t count = 0;
    MEMORY_BASIC_INFORMATION region{};
    const void* counted = nullptr;
    for (auto* at = static_cast<const std::byte*>(nullptr); VirtualQuery(at, &region, sizeof region) != 0;
         at = static_cast<const std::byte*>(region.BaseAddress) + region.RegionSize) {
        // One piece is many regions when parts of it are in use. What is only read is the system's: tables, fonts.
        if (region.Type != MEM_MAPPED || region.AllocationBase == counted) continue;
        counted = region.AllocationBase;
        if (region.AllocationProtect == PAGE_READWRITE) ++count;
    }
    return count;
}

std::vector<std::string> named_segments() { return {}; }

}  // namespace multiproc::test
