#include "support.hpp"

#include <fcntl.h>
#include <linux/futex.h>
#include <spawn.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>

namespace bench {

double median(std::vector<double> values) {
    if (values.empty()) throw std::logic_error("the median of nothing");
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    if (values.size() % 2 == 1) return *middle;
    return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

char process_state(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string text;
    std::getline(file, text);
    // The name before it is in parentheses, and may hold anything.
    const std::size_t name_end = text.rfind(')');
    return name_end == std::string::npos || name_end + 2 >= text.size() ? '\0' : text[name_end + 2];
}

void wait_until_asleep(const std::vector<pid_t>& pids, double rest) {
    const Stopwatch watch;
    while (watch.seconds() < rest) {}
    for (const pid_t pid : pids) {
        while (process_state(pid) != 'S') {
            if (watch.seconds() > 30) throw std::runtime_error("a process that should sleep does not");
        }
    }
}

void futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t expected) {
    while (word.load(std::memory_order_acquire) == expected) {
        ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), FUTEX_WAIT, expected, nullptr, nullptr, 0);
    }
}

void futex_wake(std::atomic<std::uint32_t>& word) {
    ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

std::string run_program(const std::vector<std::string>& command) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw_errno("pipe2");
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    std::vector<char*> arguments;
    for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    pid_t pid = 0;
    const int error = ::posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    std::string text;
    char buffer[256];
    for (ssize_t count = 0; error == 0 && (count = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
        text.append(buffer, static_cast<std::size_t>(count));
    }
    ::close(ends[0]);
    if (error != 0) throw std::system_error(error, std::generic_category(), command.front());
    int status = 0;
    if (::waitpid(pid, &status, 0) < 0) throw_errno("waitpid");
    if (WIFSIGNALED(status)) {
        throw std::runtime_error(command[0] + " " + command[1] + " ended by signal " +
                                 std::to_string(WTERMSIG(status)));
    }
    if (status != 0) throw std::runtime_error("failed: " + command[0] + " " + command[1]);
    return text;
}

double run_peer(const std::vector<std::string>& command) {
    const std::string text = run_program(command);
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (end == text.c_str()) throw std::runtime_error("no number from " + command[0] + " " + command[1]);
    return value;
}

TemporaryDirectory::TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "multiproc-bench-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw_errno("mkdtemp");
    path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

}  // namespace bench
