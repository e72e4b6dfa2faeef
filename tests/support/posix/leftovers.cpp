#include "../leftovers.hpp"

#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <string_view>

#if defined(__APPLE__)
#include <libproc.h>
#include <sys/proc.h>
#include <sys/sysctl.h>
#else
#include <cstdio>
#include <cstdlib>
#include <fstream>
#endif

namespace multiproc::test {
namespace {

struct ProcessEntry {
    std::uint32_t parent = 0;
    bool zombie = false;
};

#if defined(__APPLE__)
std::map<std::uint32_t, ProcessEntry> all_processes() {
    int name[] = {CTL_KERN, KERN_PROC, KERN_PROC_ALL, 0};
    std::size_t size = 0;
    ::sysctl(name, 4, nullptr, &size, nullptr, 0);
    std::vector<kinfo_proc> table(size / sizeof(kinfo_proc) + 64);
    size = table.size() * sizeof(kinfo_proc);
    if (::sysctl(name, 4, table.data(), &size, nullptr, 0) != 0) return {};
    std::map<std::uint32_t, ProcessEntry> all;
    for (std::size_t i = 0; i < size / sizeof(kinfo_proc); ++i) {
        all[static_cast<std::uint32_t>(table[i].kp_proc.p_pid)] = {static_cast<std::uint32_t>(table[i].kp_eproc.e_ppid),
                                                                   table[i].kp_proc.p_stat == SZOMB};
    }
    return all;
}
constexpr const char* descriptor_directory = "/dev/fd";
#else
std::map<std::uint32_t, ProcessEntry> all_processes() {
    std::map<std::uint32_t, ProcessEntry> all;
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/proc"), ::closedir);
    if (!directory) return all;
    while (const dirent* item = ::readdir(directory.get())) {
        const auto pid = static_cast<std::uint32_t>(std::strtoul(item->d_name, nullptr, 10));
        if (pid == 0) continue;
        char path[64];
        std::snprintf(path, sizeof path, "/proc/%u/stat", pid);
        const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path, "re"), std::fclose);
        char state = 0;
        unsigned parent = 0;
        // The name in parentheses may hold anything but is at most 15 bytes; the test programs' names hold no ')'.
        if (file && std::fscanf(file.get(), "%*u (%*[^)]) %c %u", &state, &parent) == 2)
            all[pid] = {parent, state == 'Z' || state == 'X'};
    }
    return all;
}
constexpr const char* descriptor_directory = "/proc/self/fd";
#endif

}  // namespace

std::size_t open_handles() {
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(descriptor_directory), ::closedir);
    std::size_t count = 0;
    while (const dirent* item = ::readdir(directory.get()))
        if (item->d_name[0] != '.') ++count;
    return count - 1;  // the directory itself
}

std::size_t kept_handles_per_sleeper() { return 0; }

std::vector<std::uint32_t> descendants() {
    const std::map<std::uint32_t, ProcessEntry> all = all_processes();
    const auto self = static_cast<std::uint32_t>(::getpid());
    std::vector<std::uint32_t> found;
    for (const auto& [pid, entry] : all) {
        std::uint32_t ancestor = entry.parent;
        while (ancestor != 0 && ancestor != self) {
            const auto next = all.find(ancestor);
            ancestor = next == all.end() ? 0 : next->second.parent;
        }
        if (ancestor == self) found.push_back(pid);
    }
    return found;
}

bool is_running(std::uint32_t pid) {
    const std::map<std::uint32_t, ProcessEntry> all = all_processes();
    const auto found = all.find(pid);
    return found != all.end() && !found->second.zombie;
}

#if defined(__APPLE__)
std::size_t mapped_segments() { return 0; }
std::vector<std::string> named_segments() { return {}; }
#else
std::size_t mapped_segments() {
    std::ifstream maps("/proc/self/maps");
    std::size_t count = 0;
    for (std::string line; std::getline(maps, line);) {
        if (line.find("/memfd:multiproc") != std::string::npos || line.find("/dev/shm/mp") != std::string::npos)
            ++count;
    }
    return count;
}

std::vector<std::string> named_segments() {
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/dev/shm"), ::closedir);
    std::vector<std::string> names;
    if (!directory) return names;
    while (const dirent* item = ::readdir(directory.get()))
        if (std::string_view(item->d_name).starts_with("mp")) names.emplace_back(item->d_name);
    return names;
}
#endif

}  // namespace multiproc::test
