#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "../port.hpp"
#include "support/leftovers.hpp"

namespace chaos::port {
namespace {

void lower(int resource, rlim_t limit) noexcept {
    rlimit now{};
    ::getrlimit(resource, &now);
    now.rlim_cur = std::min(limit, now.rlim_max);  // the hard one stays, so that it can be lifted
    ::setrlimit(resource, &now);
}

std::uint64_t address_space() {
    unsigned long long pages = 0;
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen("/proc/self/statm", "re"), std::fclose);
    if (!file || std::fscanf(file.get(), "%llu", &pages) != 1) return 0;
    return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

bool can_stop() noexcept { return true; }
bool can_fail_calls() noexcept {
#if defined(CHAOS_FAULTY_CALLS)
    return true;
#else
    return false;
#endif
}
bool can_limit() noexcept { return true; }
bool can_limit_processes() noexcept { return ::geteuid() == 0; }  // which can make a user of its own for each family

void limit_descriptors(std::uint32_t more) { lower(RLIMIT_NOFILE, multiproc::test::open_handles() + more); }
void limit_address_space(std::uint64_t more) {
    if (const std::uint64_t now = address_space()) lower(RLIMIT_AS, now + more);
}
void lift_limits() noexcept {
    lower(RLIMIT_NOFILE, RLIM_INFINITY);
    lower(RLIMIT_AS, RLIM_INFINITY);
}

std::vector<std::string> shared_names() {
    std::vector<std::string> names;
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/dev/shm"), ::closedir);
    if (!directory) return names;
    while (const dirent* item = ::readdir(directory.get())) {
        const std::string name = item->d_name;
        // The ledgers are the drivers' own, and there may be another driver.
        if (name.starts_with("multiproc") && !name.starts_with("multiproc-chaos-")) names.push_back(name);
    }
    return names;
}

}  // namespace chaos::port
