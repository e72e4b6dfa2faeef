#include "family.hpp"

#include <dirent.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>

namespace bench {
namespace {

std::vector<pid_t> numbers_in(const std::string& directory) {
    std::vector<pid_t> numbers;
    DIR* const listing = ::opendir(directory.c_str());
    if (listing == nullptr) return numbers;
    while (const dirent* entry = ::readdir(listing)) {
        if (const int number = std::atoi(entry->d_name); number > 0) numbers.push_back(number);
    }
    ::closedir(listing);
    return numbers;
}

pid_t parent_of(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string text;
    std::getline(file, text);
    // The name is in parentheses and may hold anything; the state, one letter, is between it and the parent.
    const std::size_t name_end = text.rfind(')');
    return name_end == std::string::npos ? 0 : std::atoi(text.c_str() + name_end + 4);
}

Activity activity_of_thread(const std::string& thread) {
    Activity activity;
    double running = 0;  // in nanoseconds, as is the next
    double waiting = 0;
    std::ifstream(thread + "/schedstat") >> running >> waiting >> activity.wake_ups;
    activity.seconds = running * 1e-9;
    std::ifstream status(thread + "/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with("voluntary_ctxt_switches:"))
            activity.sleeps = std::atof(line.c_str() + line.find(':') + 1);
    }
    return activity;
}

}  // namespace

std::vector<pid_t> family() {
    std::vector<pid_t> found{::getpid()};
    const std::vector<pid_t> all = numbers_in("/proc");
    for (std::size_t i = 0; i < found.size(); ++i) {
        for (const pid_t pid : all) {
            if (parent_of(pid) == found[i]) found.push_back(pid);
        }
    }
    return found;
}

Activity& Activity::operator+=(const Activity& other) {
    seconds += other.seconds;
    wake_ups += other.wake_ups;
    sleeps += other.sleeps;
    return *this;
}

Activity activity_of(const std::vector<pid_t>& pids, bool with_caller) {
    Activity activity;
    for (const pid_t pid : pids) {
        const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
        for (const pid_t thread : numbers_in(tasks)) {
            if (with_caller || thread != ::gettid()) {
                activity += activity_of_thread(tasks + "/" + std::to_string(thread));
            }
        }
    }
    if (activity.seconds <= 0)
        throw std::runtime_error("the system does not tell what threads do: /proc/PID/schedstat");
    return activity;
}

Memory memory_of(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/smaps_rollup");
    Memory memory;
    for (std::string line; std::getline(file, line);) {
        const std::size_t colon = line.find(':');
        if (colon == std::string::npos) continue;
        const double bytes = std::atof(line.c_str() + colon + 1) * 1024;
        if (line.starts_with("Rss:")) memory.rss = bytes;
        if (line.starts_with("Pss:")) memory.pss = bytes;
        if (line.starts_with("Private_")) memory.own += bytes;
    }
    return memory;
}

}  // namespace bench
