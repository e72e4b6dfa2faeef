#include <cxxabi.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <thread>

#include "cpu_limit.hpp"
#include "descriptors.hpp"

#if defined(__linux__)
#include <sched.h>
#elif defined(__APPLE__)
#include <mach/mach.h>
#include <sys/proc.h>
#include <sys/sysctl.h>
#endif

namespace multiproc::os {

namespace {

using namespace posix;

std::size_t usable_processors() {
#if defined(__linux__)
    // The kernel refuses a mask with less room than it has processors.
    for (int processors = 1024; processors <= 1 << 20; processors *= 2) {
        cpu_set_t* const set = CPU_ALLOC(static_cast<std::size_t>(processors));
        if (set == nullptr) break;
        const std::size_t size = CPU_ALLOC_SIZE(static_cast<std::size_t>(processors));
        const int result = ::sched_getaffinity(0, size, set);
        const int error = errno;
        const int count = result == 0 ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (result == 0) return static_cast<std::size_t>(count);
        if (error != EINVAL) break;
    }
#endif
    return std::thread::hardware_concurrency();
}

struct ProcessFacts {
    std::uint64_t start = 0;
    bool is_zombie = false;
};

// Nothing if there is no such process, or the system does not tell.
std::optional<ProcessFacts> facts_of(std::uint32_t pid) noexcept {
#if defined(__linux__)
    char path[32] = "/proc/";
    char* digits = path + std::strlen(path);
    char reversed[12];
    int count = 0;
    for (std::uint32_t rest = pid; rest != 0 || count == 0; rest /= 10) {
        reversed[count++] = static_cast<char>('0' + rest % 10);
    }
    while (count != 0) *digits++ = reversed[--count];
    std::memcpy(digits, "/stat", 6);
    const int file = retry([&] { return ::open(path, O_RDONLY | O_CLOEXEC); });
    if (file < 0) return std::nullopt;
    char text[1024];
    const ssize_t size = retry([&] { return ::read(file, text, sizeof text - 1); });
    ::close(file);
    if (size <= 0) return std::nullopt;
    text[size] = '\0';
    // The second field is the name in parentheses, which may hold anything, so what counts begins behind the last one.
    const char* next = std::strrchr(text, ')');
    if (next == nullptr || next[1] != ' ') return std::nullopt;
    ProcessFacts facts;
    facts.is_zombie = next[2] == 'Z' || next[2] == 'X';
    for (int field = 2; field < 22; ++field) {
        next = std::strchr(next + 1, ' ');
        if (next == nullptr) return std::nullopt;
        // Its first thread has ended, others go on: the process has not.
        if (field == 19 && std::strtoul(next, nullptr, 10) > 1) facts.is_zombie = false;
    }
    facts.start = std::strtoull(next, nullptr, 10);
    return facts;
#elif defined(__APPLE__)
    // (proc_pidinfo does not know processes that have ended but are not reaped.)
    int name[] = {CTL_KERN, KERN_PROC, KERN_PROC_PID, static_cast<int>(pid)};
    kinfo_proc info{};
    std::size_t size = sizeof info;
    if (::sysctl(name, 4, &info, &size, nullptr, 0) != 0 || size == 0) return std::nullopt;
    ProcessFacts facts;
    facts.start = static_cast<std::uint64_t>(info.kp_proc.p_starttime.tv_sec) * 1'000'000 +
                  static_cast<std::uint64_t>(info.kp_proc.p_starttime.tv_usec);
    facts.is_zombie = info.kp_proc.p_stat == SZOMB;
    return facts;
#else
    (void)pid;
    return std::nullopt;
#endif
}

std::atomic<std::uint32_t> known_pid{0};

void note_pid() noexcept { known_pid.store(static_cast<std::uint32_t>(::getpid()), std::memory_order_relaxed); }

std::uint32_t learn_pid() noexcept {
    // Several threads may come here at once; the handler does no harm if it is registered twice.
    if (::pthread_atfork(nullptr, nullptr, note_pid) == 0) note_pid();
    return static_cast<std::uint32_t>(::getpid());
}

}  // namespace

std::size_t cpu_count() {
    std::size_t count = std::max<std::size_t>(usable_processors(), 1);
#if defined(__linux__)
    try {
        if (const auto quota = cpu_quota("/")) {
            count = std::min(count, std::max<std::size_t>(static_cast<std::size_t>(std::ceil(*quota)), 1));
        }
    } catch (const std::exception&) {  // a file that cannot be read limits nothing
    }
#endif
    return count;
}

// Asked at every use of an object, which for a pool is every task, so the system is asked only once in each process. A
// copy learns of its own pid from the handler that fork calls in it. (A copy made by a bare clone is not noticed.)
std::uint32_t current_pid() noexcept {
    const std::uint32_t known = known_pid.load(std::memory_order_relaxed);
    return known != 0 ? known : learn_pid();
}

bool are_threads_ended() noexcept { return false; }  // exit handlers run first, in every module

std::uint64_t start_time(std::uint32_t pid) noexcept {
    const auto facts = facts_of(pid);
    return facts ? facts->start : 0;
}

bool is_running(std::uint32_t pid, std::uint64_t start_time) noexcept {
    if (pid == 0 || (::kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH)) return false;
    const auto facts = facts_of(pid);
    // The pid is in use; without more knowledge (no /proc) it must be taken for the same process.
    if (!facts) return !(::kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH);
    return !facts->is_zombie && (start_time == 0 || facts->start == start_time);
}

#if defined(__linux__)
// A process that has the pid later than the one that took the note started later too; so it is enough to note the present
// moment, in the unit and on the clock of start times, which is a matter of nanoseconds.
std::uint64_t note_life() noexcept {
    timespec now{};
    const long ticks = ::sysconf(_SC_CLK_TCK);
    if (::clock_gettime(CLOCK_BOOTTIME, &now) != 0 || ticks <= 0) return start_time(current_pid());
    const auto rate = static_cast<std::uint64_t>(ticks);
    return static_cast<std::uint64_t>(now.tv_sec) * rate +
           static_cast<std::uint64_t>(now.tv_nsec) * rate / 1'000'000'000;
}

bool is_still_running(std::uint32_t pid, std::uint64_t life) noexcept {
    if (!is_running(pid, 0)) return false;
    const auto facts = facts_of(pid);
    return !facts || life == 0 || facts->start <= life;
}
#else
std::uint64_t note_life() noexcept { return start_time(current_pid()); }
bool is_still_running(std::uint32_t pid, std::uint64_t life) noexcept { return is_running(pid, life); }
#endif

std::size_t thread_count() {
#if defined(__linux__)
    struct stat facts {};
    // A directory has two links and one for each directory in it: here, one for each thread.
    if (::stat("/proc/self/task", &facts) == 0 && facts.st_nlink > 2)
        return static_cast<std::size_t>(facts.st_nlink) - 2;
#elif defined(__APPLE__)
    thread_act_array_t threads = nullptr;
    mach_msg_type_number_t count = 0;
    if (::task_threads(mach_task_self(), &threads, &count) == KERN_SUCCESS) {
        for (mach_msg_type_number_t i = 0; i < count; ++i) ::mach_port_deallocate(mach_task_self(), threads[i]);
        ::vm_deallocate(mach_task_self(), reinterpret_cast<vm_address_t>(threads), count * sizeof(thread_act_t));
        return count;
    }
#endif
    return 1;
}

void set_variable(const char* name, const std::string& value) {
    if (::setenv(name, value.c_str(), 1) != 0) fail("setenv");
}

void* find_function(const char* name) noexcept { return ::dlsym(RTLD_DEFAULT, name); }

void limit_memory(std::uint64_t bytes, std::uint64_t mapped) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_AS, &limit) != 0) fail("getrlimit");
    const auto most = static_cast<rlim_t>(std::min<std::uint64_t>(bytes + mapped, limit.rlim_max));
    limit.rlim_cur = limit.rlim_max = most;
    if (::setrlimit(RLIMIT_AS, &limit) != 0) fail("setrlimit");
}

std::string symbol_of(const void* address) {
    Dl_info info{};
    if (::dladdr(address, &info) == 0 || info.dli_sname == nullptr || info.dli_saddr != address) return {};
    return demangle(info.dli_sname);
}

std::string demangle(const char* name) {
    int status = 0;
    const std::unique_ptr<char, decltype(&std::free)> text(abi::__cxa_demangle(name, nullptr, nullptr, &status),
                                                           std::free);
    return status == 0 && text ? text.get() : name;
}

}  // namespace multiproc::os
