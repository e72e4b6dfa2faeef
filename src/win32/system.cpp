#include <algorithm>
#include <bit>
#include <cstdlib>
#include <memory>

#include "win32/api.hpp"

#define PSAPI_VERSION 2  // its functions are in kernel32.dll, so that no further library has to be linked
#include <psapi.h>
#include <tlhelp32.h>  // these need what windows.h declares

#if __has_include(<cxxabi.h>)
#include <cxxabi.h>
#define MULTIPROC_HAS_CXXABI 1
#endif

namespace multiproc::os {

namespace {

std::size_t processors_by_affinity() {
    // A mask covers the 64 processors of one group. Restricting a process is possible within a group only, so one whose
    // mask is complete may use the other groups too; one that runs in several groups at once gets masks of 0.
    DWORD_PTR process = 0;
    DWORD_PTR system = 0;
    if (GetProcessAffinityMask(GetCurrentProcess(), &process, &system) != 0 && process != 0 && process != system) {
        return static_cast<std::size_t>(std::popcount(static_cast<std::uint64_t>(process)));
    }
    return GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
}

// Containers limit the processor time by a hard cap of their job, in hundredths of a percent of the whole machine.
std::size_t processors_by_job(std::size_t processors) {
    JOBOBJECT_CPU_RATE_CONTROL_INFORMATION rate{};
    constexpr DWORD hard_cap = JOB_OBJECT_CPU_RATE_CONTROL_ENABLE | JOB_OBJECT_CPU_RATE_CONTROL_HARD_CAP;
    if (QueryInformationJobObject(nullptr, JobObjectCpuRateControlInformation, &rate, sizeof rate, nullptr) == 0 ||
        (rate.ControlFlags & hard_cap) != hard_cap) {
        return processors;
    }
    const std::size_t all = GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
    return std::min(processors, (all * rate.CpuRate + 9999) / 10000);
}

std::uint64_t creation_time(HANDLE process) noexcept {
    FILETIME created{};
    FILETIME other{};
    if (GetProcessTimes(process, &created, &other, &other, &other) == 0) return 0;
    return static_cast<std::uint64_t>(created.dwHighDateTime) << 32 | created.dwLowDateTime;
}

}  // namespace

std::size_t cpu_count() { return std::max<std::size_t>(1, processors_by_job(processors_by_affinity())); }

std::uint32_t current_pid() noexcept { return GetCurrentProcessId(); }

std::uint64_t start_time(std::uint32_t pid) noexcept {
    if (pid == GetCurrentProcessId()) return creation_time(GetCurrentProcess());
    const Handle process = own(OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, pid));
    return process ? creation_time(native(process.raw())) : 0;
}

bool is_running(std::uint32_t pid, std::uint64_t start_time) noexcept {
    // A process that ended can still be opened as long as somebody has a handle to it, hence the wait.
    const Handle process = own(OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION | SYNCHRONIZE, FALSE, pid));
    return process && (start_time == 0 || creation_time(native(process.raw())) == start_time) &&
           WaitForSingleObject(native(process.raw()), 0) == WAIT_TIMEOUT;
}

std::uint64_t note_life() noexcept { return start_time(current_pid()); }
bool is_still_running(std::uint32_t pid, std::uint64_t life) noexcept { return is_running(pid, life); }

std::size_t thread_count() {
    // The process argument of a thread snapshot is ignored: it always has the threads of all processes.
    const Handle snapshot = own_or_throw(CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0), "cannot list the threads");
    THREADENTRY32 entry{};
    entry.dwSize = sizeof entry;
    std::size_t count = 0;
    for (BOOL more = Thread32First(native(snapshot.raw()), &entry); more != 0;
         more = Thread32Next(native(snapshot.raw()), &entry)) {
        if (entry.th32OwnerProcessID == GetCurrentProcessId()) ++count;
        entry.dwSize = sizeof entry;
    }
    return count;
}

void set_variable(const char* name, const std::string& value) {
    // The C runtime's copy, which getenv and libraries read, and with it the system's.
    if (_putenv_s(name, value.c_str()) != 0)
        throw_system_error("cannot set an environment variable", ERROR_OUTOFMEMORY);
}

void* find_function(const char* name) noexcept {
    HMODULE modules[1024];
    DWORD bytes = 0;
    if (EnumProcessModules(GetCurrentProcess(), modules, sizeof modules, &bytes) == 0) return nullptr;
    const DWORD count = bytes < sizeof modules ? bytes / sizeof(HMODULE) : 1024;
    for (DWORD i = 0; i < count; ++i)
        if (const FARPROC function = GetProcAddress(modules[i], name)) return reinterpret_cast<void*>(function);
    return nullptr;
}

// What is only reserved does not count here.
void limit_memory(std::uint64_t bytes, std::uint64_t) {
    const Handle job = own_or_throw(CreateJobObjectW(nullptr, nullptr), "cannot create a job");
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits{};
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_PROCESS_MEMORY;
    limits.ProcessMemoryLimit = static_cast<SIZE_T>(bytes);
    if (SetInformationJobObject(native(job.raw()), JobObjectExtendedLimitInformation, &limits, sizeof limits) == 0)
        throw_last_error("cannot limit the memory of a job");
    // Nested in the one it is in already. The job lives as long as the process, also without a handle.
    if (AssignProcessToJobObject(native(job.raw()), GetCurrentProcess()) == 0)
        throw_last_error("cannot limit the memory of this process");
}

std::string symbol_of(const void*) { return {}; }  // the names are in a file of their own

std::string demangle(const char* name) {
#if defined(MULTIPROC_HAS_CXXABI)
    int status = 0;
    const std::unique_ptr<char, void (*)(void*)> readable(abi::__cxa_demangle(name, nullptr, nullptr, &status),
                                                          std::free);
    if (status == 0 && readable) return readable.get();
#endif
    return name;
}

}  // namespace multiproc::os
