// What a sandboxed worker asks of the system besides computing is refused, with an error.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <new>
#include <span>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "arena.hpp"
#include "support/die.hpp"
#include "support/sandboxed.hpp"
#include "support/sanitizers.hpp"
#include "support/temporary.hpp"

namespace {

namespace mp = multiproc;

class PoolSandboxPosix : public mp::test::Sandboxed {};

mp::PoolOptions sandboxed(mp::Count workers) { return {.workers = workers, .sandbox = mp::Sandbox::compute}; }

// What a call that should fail gave: its error, or 0 if it worked.
using Refusals = std::vector<std::pair<std::string, int>>;

struct Attempt {
    const char* name;
    int error;  // that is expected
    long (*run)();
};

long in_copy(long pid) {
    if (pid == 0) ::_exit(0);
    return pid;
}

// Raw calls where wrappers of the C library may do something else first. None does harm where it is let through.
const Attempt attempts[] = {
    {"open", EACCES, [] { return static_cast<long>(::open("/etc/passwd", O_RDONLY)); }},
    {"create", EACCES, [] { return static_cast<long>(::open("/tmp/multiproc-sandbox", O_CREAT | O_RDWR, 0600)); }},
    {"open its own memory", EACCES, [] { return static_cast<long>(::open("/proc/self/mem", O_RDWR)); }},
    {"openat2", EACCES, [] { return ::syscall(437, AT_FDCWD, "/etc/passwd", nullptr, 0); }},
    {"stat", EACCES,
     [] {
         struct stat facts {};
         return static_cast<long>(::stat("/etc/passwd", &facts));
     }},
    {"access", EACCES, [] { return static_cast<long>(::access("/etc/passwd", R_OK)); }},
    {"unlink", EACCES, [] { return static_cast<long>(::unlink("/tmp/multiproc-sandbox")); }},
    {"chdir", EACCES, [] { return static_cast<long>(::chdir("/")); }},
    {"socket of the internet", EPERM, [] { return static_cast<long>(::socket(AF_INET, SOCK_STREAM, 0)); }},
    {"local socket", EPERM, [] { return static_cast<long>(::socket(AF_UNIX, SOCK_STREAM, 0)); }},
    {"connect", EPERM, [] { return static_cast<long>(::connect(0, nullptr, 0)); }},
    {"bind", EPERM, [] { return static_cast<long>(::bind(0, nullptr, 0)); }},
    {"execve", EACCES, [] { return static_cast<long>(::execl("/nonexistent", "nonexistent", nullptr)); }},
    {"execveat", EACCES, [] { return ::syscall(SYS_execveat, STDIN_FILENO, "", nullptr, nullptr, AT_EMPTY_PATH); }},
    {"fork", EPERM, [] { return in_copy(::fork()); }},
    {"clone", EPERM, [] { return in_copy(::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)); }},
    {"clone3", ENOSYS, [] { return ::syscall(SYS_clone3, nullptr, 0); }},
    {"unshare", EPERM, [] { return ::syscall(SYS_unshare, 0); }},
    {"kill of the parent", EPERM, [] { return static_cast<long>(::kill(::getppid(), 0)); }},
    {"kill of all", EPERM, [] { return static_cast<long>(::kill(-1, 0)); }},
    {"kill of the group", EPERM, [] { return static_cast<long>(::kill(0, 0)); }},
    {"sigqueue", EPERM, [] { return static_cast<long>(::sigqueue(::getppid(), 0, sigval{})); }},
    {"pidfd", EPERM, [] { return ::syscall(SYS_pidfd_open, ::getppid(), 0); }},
    {"ptrace", EPERM, [] { return ::syscall(SYS_ptrace, -1, ::getppid(), nullptr, nullptr); }},
    {"another's memory", EPERM, [] { return ::syscall(SYS_process_vm_readv, ::getppid(), nullptr, 0, nullptr, 0, 0); }},
    {"another's limits", EPERM, [] { return ::syscall(SYS_prlimit64, ::getppid(), RLIMIT_CORE, nullptr, nullptr); }},
    {"its own limits", EPERM,
     [] {
         const rlimit none{};
         return ::syscall(SYS_prlimit64, 0, RLIMIT_CORE, &none, nullptr);
     }},
    {"signals by descriptors", EPERM, [] { return static_cast<long>(::fcntl(0, F_SETOWN, ::getppid())); }},
    {"flags that the parent's output has too", EPERM, [] { return static_cast<long>(::fcntl(1, F_SETFL, 0)); }},
    {"cutting short what it prints to", EPERM, [] { return static_cast<long>(::ftruncate(1, 0)); }},
    {"typing on a terminal", EPERM,
     [] {
         char letter = 'x';
         return static_cast<long>(::ioctl(0, TIOCSTI, &letter));
     }},
    {"executable memory", EACCES,
     [] {
         void* const memory = ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
         return memory == MAP_FAILED ? -1L : 0L;
     }},
    {"memory made executable", EACCES,
     [] {
         void* const memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
         return static_cast<long>(::mprotect(memory, 4096, PROT_READ | PROT_EXEC));
     }},
    {"to be dumpable again", EPERM, [] { return static_cast<long>(::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)); }},
    {"mount", EPERM, [] { return static_cast<long>(::mount(nullptr, nullptr, nullptr, 0, nullptr)); }},
    {"bpf", EPERM, [] { return ::syscall(SYS_bpf, 0, nullptr, 0); }},
    {"io_uring", EPERM, [] { return ::syscall(425, 8, nullptr); }},
    {"userfaultfd", EPERM, [] { return ::syscall(SYS_userfaultfd, 0); }},
    {"another filter", EPERM, [] { return ::syscall(SYS_seccomp, 1, 0, nullptr); }},
};

// Those that did not fail as they should.
Refusals surprises() {
    Refusals all;
    for (const Attempt& attempt : attempts) {
        errno = 0;
        const bool has_failed = attempt.run() == -1;
        const int error = errno;
        if (!has_failed || error != attempt.error) all.emplace_back(attempt.name, has_failed ? error : 0);
    }
    return all;
}

Refusals surprises_in_thread() {
    Refusals found;
    std::thread([&found] { found = surprises(); }).join();
    return found;
}

TEST_F(PoolSandboxPosix, EverythingElseIsRefused) {
    mp::Pool pool(sandboxed(1));
    EXPECT_EQ(pool.apply(surprises), Refusals());
    EXPECT_EQ(pool.apply(surprises_in_thread), Refusals());
}

TEST_F(PoolSandboxPosix, AlsoInAWorkerThatReplacesAnother) {
    mp::Pool pool(sandboxed(1));
    EXPECT_EQ(pool.apply(surprises), Refusals());
    mp::test::kill_process(pool.worker_pids().front());
    EXPECT_EQ(pool.with({.retries = 5}).apply(surprises), Refusals());
}

// A thread that was there before the sandbox was closed.
struct Early {
    std::atomic<int> turn{0};
    Refusals found;
    std::thread thread;
};
Early* early = nullptr;
void start_thread() {
    early = new Early;
    early->thread = std::thread([] {
        early->turn.wait(0);
        early->found = surprises();
    });
}
Refusals surprises_in_early_thread() {
    early->turn = 1;
    early->turn.notify_all();
    early->thread.join();
    return early->found;
}

TEST_F(PoolSandboxPosix, AlsoToThreadsThatTheInitializerHasStarted) {
    mp::PoolOptions options = sandboxed(1);
    options.initializer = start_thread;
    mp::Pool pool(std::move(options));
    EXPECT_EQ(pool.apply(surprises_in_early_thread), Refusals());
}

bool may_open_and_fork() {
    const int file = ::open("/etc/passwd", O_RDONLY);
    const pid_t copy = ::fork();
    if (copy == 0) ::_exit(0);
    ::close(file);
    return file >= 0 && copy > 0 && ::waitpid(copy, nullptr, 0) == copy;
}

TEST_F(PoolSandboxPosix, PoolsWithoutItMayDoWhatTheProgramMay) {
    mp::Pool confined(sandboxed(1));
    mp::Pool free(1);
    EXPECT_EQ(confined.apply(surprises), Refusals());
    EXPECT_TRUE(free.apply(may_open_and_fork));
}

int read_from_stdout() {
    char letter = 0;
    return ::read(STDOUT_FILENO, &letter, 1) == -1 && errno == EBADF ? 0 : 1;
}

// Standard output is a terminal that is open for reading and writing, as shells have it.
TEST_F(PoolSandboxPosix, WhatIsTypedOnTheTerminalIsNotReadThroughStandardOutput) {
    const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    ASSERT_TRUE(terminal >= 0 && ::grantpt(terminal) == 0 && ::unlockpt(terminal) == 0);
    const int shown = ::open(::ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
    ASSERT_GE(shown, 0);
    const int before = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
    std::fflush(stdout);
    ::dup2(shown, STDOUT_FILENO);
    {
        mp::Pool pool(sandboxed(1));
        EXPECT_EQ(pool.apply(read_from_stdout), 0);
    }
    ::dup2(before, STDOUT_FILENO);
    for (const int fd : {before, shown, terminal}) ::close(fd);
}

// ---- what a worker has in its hands ------------------------------------------------------------------------------------

// Descriptors that lead to others: sockets.
int open_sockets() {
    int count = 0;
    for (int fd = 0; fd < 1024; ++fd) {
        struct stat facts {};
        if (::syscall(SYS_fstat, fd, &facts) == 0 && S_ISSOCK(facts.st_mode)) ++count;
    }
    return count;
}

TEST_F(PoolSandboxPosix, TheOnlySocketIsTheOneForItsOwnMessages) {
    mp::Pool pool(sandboxed(1));
    EXPECT_EQ(pool.apply(open_sockets), 1);
}

std::uint64_t largest_shared_mapping = 0;
void look_at_mappings() {
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
        std::uint64_t begin = 0, end = 0;
        char dash = 0;
        std::string access;
        std::istringstream(line) >> std::hex >> begin >> dash >> end >> access;
        if (access.size() == 4 && access[3] == 's')
            largest_shared_mapping = std::max(largest_shared_mapping, end - begin);
    }
}
std::uint64_t what_was_the_largest() { return largest_shared_mapping; }

TEST_F(PoolSandboxPosix, TheMemoryThatProcessesShareIsNotMapped) {
    const mp::Queue<int> queue;  // the parent has it mapped
    mp::PoolOptions options = sandboxed(1);
    options.initializer = look_at_mappings;
    mp::Pool pool(std::move(options));
    const std::uint64_t largest = pool.apply(what_was_the_largest);
    EXPECT_GT(largest, 0u);
    EXPECT_LT(largest, mp::Arena::size);
}

constexpr double secret = 0x1.fedcba9876543p+1;

int own_mappings = -1;
void* kept_arguments = nullptr;
std::size_t kept_size = 0;

// In the initializer, when files can still be opened. What is read later are the mappings of that time.
void open_mappings() { own_mappings = ::open("/proc/self/maps", O_RDONLY | O_CLOEXEC); }

// Keeps the memory that its arguments lie in, which it must not write to: a second mapping stays when the first goes.
bool keep_arguments(const std::vector<double>& numbers) {
    std::string text(1 << 20, '\0');
    std::size_t size = 0;
    for (long more; (more = ::read(own_mappings, text.data() + size, text.size() - size)) > 0;)
        size += static_cast<std::size_t>(more);
    std::istringstream lines(text.substr(0, size));
    for (std::string line; std::getline(lines, line);) {
        std::uintptr_t begin = 0, end = 0;
        char dash = 0;
        std::string access;
        std::istringstream(line) >> std::hex >> begin >> dash >> end >> access;
        if (access != "r--s" || end - begin < numbers.size() * sizeof(double)) continue;
        kept_size = end - begin;
        kept_arguments = ::mremap(reinterpret_cast<void*>(begin), 0, kept_size, MREMAP_MAYMOVE);
        return kept_arguments != MAP_FAILED;
    }
    return false;
}

// How often what only others were told is found there.
std::size_t secrets_seen(const std::vector<double>&) {
    const std::span<const double> kept(static_cast<const double*>(kept_arguments), kept_size / sizeof(double));
    return static_cast<std::size_t>(std::ranges::count(kept, secret));
}

TEST_F(PoolSandboxPosix, NeitherEarlierNorLaterArgumentsAreSeenByATask) {
    mp::PoolOptions options = sandboxed(1);
    options.initializer = open_mappings;
    mp::Pool pool(options);
    constexpr std::size_t large = 100'000;
    EXPECT_EQ(pool.apply(secrets_seen, std::vector<double>(large, secret)), 0u);
    ASSERT_TRUE(pool.apply(keep_arguments, std::vector<double>(large, 1.0)));
    EXPECT_EQ(pool.apply(secrets_seen, std::vector<double>(large, secret)), 0u);
    // Those of other items of a map either, which lie in one piece of memory at the parent's.
    std::vector<std::vector<double>> items(4, std::vector<double>(large, secret));
    items[1].assign(large, 1.0);
    EXPECT_EQ(pool.map(secrets_seen, items), (std::vector<std::size_t>(4, 0)));
}

rlim_t limit_of_dumps() {
    rlimit limit{};
    ::getrlimit(RLIMIT_CORE, &limit);
    return limit.rlim_max;
}

TEST_F(PoolSandboxPosix, NothingOfItIsDumped) {
    mp::Pool pool(sandboxed(1));
    EXPECT_EQ(pool.apply(limit_of_dumps), 0u);
    EXPECT_EQ(pool.apply([] { return ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0); }), -1);  // it cannot even ask
}

// ---- what still works --------------------------------------------------------------------------------------------------

int allowed_calls() {
    int failures = 0;
    const auto expect = [&](bool works) { failures += works ? 0 : 1; };
    expect(::kill(::getpid(), 0) == 0);
    int ends[2];
    expect(::pipe2(ends, O_CLOEXEC) == 0);
    expect(::write(ends[1], "x", 1) == 1);
    char letter = 0;
    expect(::read(ends[0], &letter, 1) == 1 && letter == 'x');
    ::close(ends[0]);
    ::close(ends[1]);
    timespec now{};
    expect(::clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    char random[8];
    expect(::syscall(SYS_getrandom, random, sizeof random, 0) == sizeof random);
    expect(mp::cpu_count() >= 1);
    expect(std::fprintf(stderr, "%s", "") == 0 && std::fflush(stderr) == 0);
    return failures;
}

TEST_F(PoolSandboxPosix, WhatComputingNeedsStillWorks) {
    mp::Pool pool(sandboxed(1));
    EXPECT_EQ(pool.apply(allowed_calls), 0);
}

class PoolSandboxMemory : public mp::test::Sandboxed {};

std::size_t allocate(std::size_t bytes) {
    const std::vector<char> memory(bytes);
    return memory.size();
}

TEST_F(PoolSandboxMemory, LimitsHoldToo) {
    constexpr std::uint64_t gibibyte = std::uint64_t{1} << 30;
    mp::PoolOptions options = sandboxed(1);
    options.memory_limit = 2 * gibibyte;
    mp::Pool pool(std::move(options));
    EXPECT_EQ(pool.apply(allocate, 1'000'000u), 1'000'000u);
    try {
        pool.apply(allocate, 4 * gibibyte);
        ADD_FAILURE() << "it got four gibibytes";
    } catch (const std::bad_alloc&) {
    } catch (const mp::WorkerDied&) {}
    EXPECT_EQ(pool.apply(allocate, 3'000u), 3'000u);
}

void work_for_ever() {
    for (;;) std::this_thread::yield();
}

TEST_F(PoolSandboxPosix, ItCanBeTerminatedWhileATaskRuns) {
    mp::Pool pool(sandboxed(2));
    const auto first = pool.apply_async(work_for_ever);
    const auto second = pool.apply_async(work_for_ever);
    EXPECT_FALSE(first.wait_for(std::chrono::milliseconds(50)));
    pool.terminate();
    EXPECT_THROW(first.get(), mp::ClosedError);
    EXPECT_THROW(second.get(), mp::ClosedError);
}

}  // namespace
