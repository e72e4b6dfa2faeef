// What a child has of its parent on POSIX: what it asked for, and nothing else.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"

namespace {

namespace mp = multiproc;

using ProcessIsolationPosix = mp::test::EachStartMethod;

// Two ends of a pipe, inheritable by exec as a careless program makes them.
struct Pipe {
    Pipe() {
        int ends[2];
        if (::pipe(ends) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
        reading = ends[0];
        writing = ends[1];
    }
    ~Pipe() {
        close_reading();
        close_writing();
    }
    void close_reading() { close(reading); }
    void close_writing() { close(writing); }
    static void close(int& fd) {
        if (fd >= 0) ::close(fd);
        fd = -1;
    }
    std::string read_all() {
        close_writing();
        std::string text;
        char block[256];
        while (true) {
            const ssize_t count = ::read(reading, block, sizeof block);
            if (count <= 0) return text;
            text.append(block, static_cast<std::size_t>(count));
        }
    }
    int reading = -1, writing = -1;
};

bool is_pipe(int fd, std::uint64_t inode) {
    struct stat status {};
    return ::fstat(fd, &status) == 0 && status.st_ino == inode;
}

// Which of the child's descriptors are the pipe with this inode.
std::vector<int> ends_of_pipe(std::uint64_t inode) {
    std::vector<int> found;
    for (int fd = 0; fd < 1024; ++fd)
        if (is_pipe(fd, inode)) found.push_back(fd);
    return found;
}

TEST_F(ProcessIsolationPosix, nothing_of_the_parents_is_inherited_unasked) {
    const Pipe pipe;
    struct stat status {};
    ASSERT_EQ(::fstat(pipe.reading, &status), 0);
    mp::Process p(ends_of_pipe, static_cast<std::uint64_t>(status.st_ino));
    p.start();
    const std::vector<int> found = p.result();
    if (mp::get_start_method() == mp::StartMethod::fork) {
        EXPECT_EQ(found, (std::vector{pipe.reading, pipe.writing})) << "sharing is what fork is for";
    } else {
        EXPECT_EQ(found, std::vector<int>{});
    }
}

void greet() {
    std::cout << "out";
    std::cerr << "err";
}

TEST_F(ProcessIsolationPosix, out_and_err_go_to_descriptors) {
    Pipe out, err;
    mp::Process p(
        mp::ProcessOptions{.out = mp::Redirect::handle(out.writing), .err = mp::Redirect::handle(err.writing)}, greet);
    p.start();
    EXPECT_EQ(out.read_all(), "out") << "the child alone held the other end, and the descriptor stayed the caller's";
    EXPECT_EQ(err.read_all(), "err");
    p.join();
}

// Puts another file in the place of a stream of this process, as a shell's redirection does.
class Replaced {
public:
    Replaced(int stream, int by) : stream_(stream), before_(::fcntl(stream, F_DUPFD_CLOEXEC, 3)) { ::dup2(by, stream); }
    ~Replaced() {
        ::dup2(before_, stream_);
        ::close(before_);
    }

private:
    int stream_, before_;
};

TEST_F(ProcessIsolationPosix, a_child_writes_to_its_parents_stdout_and_stderr_as_they_are_at_its_start) {
    Pipe out, err;
    mp::Process p(greet);
    {
        std::cout.flush();
        const Replaced first(STDOUT_FILENO, out.writing);
        const Replaced second(STDERR_FILENO, err.writing);
        p.start();
    }
    EXPECT_EQ(out.read_all(), "out");
    EXPECT_EQ(err.read_all(), "err");
    p.join();
}

TEST_F(ProcessIsolationPosix, a_broken_stdout_does_not_break_a_childs_exit) {
    Pipe pipe;
    mp::Process p(mp::ProcessOptions{.out = mp::Redirect::handle(pipe.writing)}, [] {
        std::cout << "nobody reads this";
        return 5;
    });
    pipe.close_reading();
    p.start();
    EXPECT_EQ(p.result(), 5);
    EXPECT_EQ(p.exit_status(), mp::ExitStatus::exited(0));
}

TEST_F(ProcessIsolationPosix, a_broken_stderr_does_not_break_the_exit_of_a_child_that_threw) {
    Pipe pipe;
    mp::Process p(mp::ProcessOptions{.err = mp::Redirect::handle(pipe.writing)},
                  [] { throw std::out_of_range("nobody reads this"); });
    pipe.close_reading();
    p.start();
    EXPECT_THROW(p.result(), std::out_of_range);
    EXPECT_EQ(p.exit_status(), mp::ExitStatus::exited(1));
}

mode_t mask_of_child() {
    const mode_t mask = ::umask(0);
    ::umask(mask);
    return mask;
}

TEST_F(ProcessIsolationPosix, a_child_has_the_umask_of_its_parent_at_its_start) {
    const mode_t before = ::umask(0027);
    mp::Process p(mask_of_child);
    p.start();
    ::umask(before);
    EXPECT_EQ(p.result(), mode_t{0027});
    mp::Process q(mask_of_child);
    q.start();
    EXPECT_EQ(q.result(), before);
}

std::array<std::uint64_t, 2> limit_of_child(int resource) {
    struct rlimit limit {};
    ::getrlimit(resource, &limit);
    return {limit.rlim_cur, limit.rlim_max};
}

TEST_F(ProcessIsolationPosix, a_child_has_the_limits_of_its_parent_at_its_start) {
    struct rlimit before {};
    ASSERT_EQ(::getrlimit(RLIMIT_CORE, &before), 0);
    struct rlimit files {};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
    struct rlimit lower = files;
    lower.rlim_cur = 300;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &lower), 0);
    mp::Process p([] { return limit_of_child(RLIMIT_NOFILE); });
    p.start();
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
    EXPECT_EQ(p.result(), (std::array<std::uint64_t, 2>{300, files.rlim_max}));
    mp::Process q([] { return limit_of_child(RLIMIT_NOFILE); });
    q.start();
    EXPECT_EQ(q.result(), (std::array<std::uint64_t, 2>{files.rlim_cur, files.rlim_max}));
}

TEST_F(ProcessIsolationPosix, a_limit_on_open_files_is_an_error_at_start_and_nothing_is_left) {
    struct rlimit files {};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
    mp::Process p([] { return 8; });
    for (const rlim_t room : {0U, 1U, 2U, 3U, 4U, 5U, 6U, 7U, 8U}) {
        struct rlimit lower = files;
        lower.rlim_cur = static_cast<rlim_t>(::dup(0)) + room;
        ::close(static_cast<int>(lower.rlim_cur - room));
        const std::size_t handles = mp::test::open_handles();
        ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &lower), 0);
        bool refused = false;
        try {
            mp::Process q([] { return 9; });
            q.start();
            EXPECT_EQ(q.result(), 9);
        } catch (const mp::StartError&) { refused = true; } catch (const std::system_error&) {
            refused = true;
        }
        ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
        EXPECT_TRUE(refused || room > 2);
        EXPECT_TRUE(mp::test::holds_soon([&] { return mp::test::open_handles() <= handles; })) << room;
        EXPECT_TRUE(mp::active_children().empty());
    }
    p.start();
    EXPECT_EQ(p.result(), 8);
}

#if defined(__linux__)
std::vector<int> processors() {
    cpu_set_t set;
    CPU_ZERO(&set);
    ::sched_getaffinity(0, sizeof set, &set);
    std::vector<int> found;
    for (int i = 0; i < CPU_SETSIZE; ++i)
        if (CPU_ISSET(i, &set)) found.push_back(i);
    return found;
}

TEST_F(ProcessIsolationPosix, a_child_has_the_affinity_of_its_parent_at_its_start) {
    cpu_set_t before;
    ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
    const std::vector<int> all = processors();
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(all.back(), &one);
    ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
    mp::Process p(processors);
    p.start();
    ASSERT_EQ(::sched_setaffinity(0, sizeof before, &before), 0);
    EXPECT_EQ(p.result(), std::vector{all.back()});
    mp::Process q(processors);
    q.start();
    EXPECT_EQ(q.result(), all);
}
#endif

// The signals that are blocked, then those that are not at their default.
std::array<std::vector<int>, 2> signal_state() {
    std::array<std::vector<int>, 2> state;
    sigset_t mask;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    for (int number = 1; number < 32; ++number) {
        if (sigismember(&mask, number) == 1) state[0].push_back(number);
        struct sigaction action {};
        if (::sigaction(number, nullptr, &action) == 0 && action.sa_handler != SIG_DFL) state[1].push_back(number);
    }
    return state;
}

TEST_F(ProcessIsolationPosix, a_child_starts_with_signals_as_a_program_does) {
    struct sigaction ignore {
    }, before{};
    ignore.sa_handler = SIG_IGN;
    ::sigaction(SIGUSR1, &ignore, &before);
    sigset_t blocked, mask;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR2);
    sigaddset(&blocked, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &blocked, &mask);
    mp::Process p(signal_state);
    p.start();
    ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
    ::sigaction(SIGUSR1, &before, nullptr);
    const auto [blocked_there, set_there] = p.result();
    EXPECT_EQ(blocked_there, std::vector<int>{});
    std::vector<int> expected;
    struct sigaction hangup {};
    ::sigaction(SIGHUP, nullptr, &hangup);
    if (hangup.sa_handler == SIG_IGN) expected.push_back(SIGHUP);  // under nohup it stays so
    EXPECT_EQ(set_there, expected);
}

}  // namespace
