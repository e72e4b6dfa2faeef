// What the measurements share: clock, medians, shared memory, bare children.
#pragma once

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <new>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace bench {

[[noreturn]] inline void throw_errno(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

/// Seconds of the system's monotonic clock, which all processes share.
inline double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

class Stopwatch {
public:
    double seconds() const { return now() - begin_; }

private:
    double begin_ = now();
};

double median(std::vector<double> values);

/// The median of what `sample()` returns, which is little moved by the moments in which something else had the
/// processor.
template <class F>
double median_of(std::size_t samples, F sample) {
    std::vector<double> values;
    values.reserve(samples);
    for (std::size_t i = 0; i < samples; ++i) values.push_back(sample());
    return median(std::move(values));
}

/// A `T` that this process and the children it forks have in common.
template <class T>
class Shared {
public:
    Shared() {
        void* memory = ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) throw_errno("mmap");
        object_ = new (memory) T();
    }
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;
    ~Shared() { ::munmap(object_, sizeof(T)); }

    T* operator->() const { return object_; }
    T& operator*() const { return *object_; }

private:
    T* object_;
};

/// A bare fork, the simplest child there is: runs a function and leaves by `_exit`.
class Child {
public:
    template <class F>
    explicit Child(F&& run) : pid_(::fork()) {
        if (pid_ < 0) throw_errno("fork");
        if (pid_ == 0) {
            run();
            ::_exit(0);
        }
    }
    Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}
    Child& operator=(Child&&) = delete;
    ~Child() {
        if (pid_ == 0) return;
        ::kill(pid_, SIGKILL);
        join();
    }

    pid_t pid() const { return pid_; }

    /// Waits for its end and returns its status.
    int join() {
        int status = 0;
        while (::waitpid(pid_, &status, 0) < 0) {
            if (errno != EINTR) throw_errno("waitpid");
        }
        pid_ = 0;
        return status;
    }

private:
    pid_t pid_;
};

/// The letter that /proc shows for a process's main thread: R runs, S sleeps. 0 if there is no such process.
char process_state(pid_t pid);

/// Waits until all of the processes sleep and `rest` seconds have passed, so that what wakes them is measured from the
/// same state each time: a virtual processor takes the longer to wake the longer it has been idle.
void wait_until_asleep(const std::vector<pid_t>& pids, double rest);

/// Sleep while `word == expected`, and wake who sleeps, between processes.
void futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t expected);
void futex_wake(std::atomic<std::uint32_t>& word);

/// Runs a program and returns what it printed. Throws std::runtime_error if it fails.
std::string run_program(const std::vector<std::string>& command);

/// The same for a program that prints a number.
double run_peer(const std::vector<std::string>& command);

/// A directory that goes away with all its files.
class TemporaryDirectory {
public:
    TemporaryDirectory();
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    ~TemporaryDirectory();
    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

}  // namespace bench
