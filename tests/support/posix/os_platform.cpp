#include "../os_child.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <system_error>
#include <thread>

#if defined(__linux__)
#include <sys/syscall.h>
#endif

namespace multiproc::os::test {

Handle temporary_file() {
    char path[] = "/tmp/multiproc-os-test-XXXXXX";
    const int file = ::mkostemp(path, O_CLOEXEC);
    if (file < 0) throw std::system_error(errno, std::generic_category(), "mkostemp");
    ::unlink(path);
    return Handle(file);
}

std::string contents_of(RawHandle file) {
    std::string text;
    char block[4096];
    for (;;) {
        const ssize_t count = ::pread(static_cast<int>(file), block, sizeof block, static_cast<off_t>(text.size()));
        if (count <= 0) return text;
        text.append(block, static_cast<std::size_t>(count));
    }
}

void set_environment(const std::string& name, const std::string& value) { ::setenv(name.c_str(), value.c_str(), 1); }

ProcessWatch::ProcessWatch(std::uint32_t pid) : pid_(pid), start_time_(start_time(pid)) {
#if defined(SYS_pidfd_open)
    const long process = ::syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0);
    if (process >= 0) process_.reset(process);
#endif
}

bool ProcessWatch::await_end() {
    if (process_) {
        pollfd entry{static_cast<int>(process_.raw()), POLLIN, 0};
        return ::poll(&entry, 1, static_cast<int>(std::chrono::milliseconds(patience).count())) == 1;
    }
    const Deadline deadline = Clock::now() + patience;
    while (is_running(pid_, start_time_)) {
        if (Clock::now() >= deadline) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
}

}  // namespace multiproc::os::test
