// What only a POSIX system can get wrong.
#include "support/os_child.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <sstream>
#include <system_error>
#include <thread>
#include <vector>

#include "posix/cpu_limit.hpp"
#include "posix/exit_watch.hpp"
#include "posix/parking.hpp"
#include "posix/platform.hpp"
#include "posix/process_end.hpp"
#include "posix/shared_memory.hpp"

#if defined(__linux__)
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>

// Apple's calls by Linux's, so that the portable build finds them in this executable as it would in macOS's libraries.
extern "C" {
int os_sync_wait_on_address_with_timeout(void* address, std::uint64_t value, std::size_t, std::uint32_t, std::uint32_t,
                                         std::uint64_t nanoseconds) {
    const timespec time{static_cast<time_t>(nanoseconds / 1'000'000'000),
                        static_cast<long>(nanoseconds % 1'000'000'000)};
    const long result = ::syscall(SYS_futex, address, FUTEX_WAIT, static_cast<std::uint32_t>(value), &time, nullptr, 0);
    return result == 0 || errno == EAGAIN ? 0 : -1;
}
int os_sync_wait_on_address(void* address, std::uint64_t value, std::size_t, std::uint32_t) {
    const long result =
        ::syscall(SYS_futex, address, FUTEX_WAIT, static_cast<std::uint32_t>(value), nullptr, nullptr, 0);
    return result == 0 || errno == EAGAIN ? 0 : -1;
}
int os_sync_wake_by_address_any(void* address, std::size_t, std::uint32_t) {
    return static_cast<int>(::syscall(SYS_futex, address, FUTEX_WAKE, 1, nullptr, nullptr, 0)) == 0 ? -1 : 0;
}
}
#endif

namespace multiproc::os::test {
namespace {

class OsPosix : public testing::TestWithParam<StartMethod> {};

INSTANTIATE_TEST_SUITE_P(Methods, OsPosix, testing::ValuesIn(start_methods()),
                         [](const auto& method) { return name_of(method.param); });

OS_CHILD(posix_exits_with_given_code) { return static_cast<std::uint32_t>(std::stoul(text_of(args.stage))); }

OS_CHILD(posix_waits) {
    args.stage.words[0] = 1;
    wait_for_the_end();
}

OS_CHILD(raises_given_signal) {
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    const int number = std::stoi(text_of(args.stage));
    ::signal(number, SIG_DFL);  // sanitizers and gtest have handlers of their own
    ::raise(number);
    return 1;
}

TEST_P(OsPosix, ReportsEverySignal) {
    for (const int number : {SIGABRT, SIGSEGV, SIGUSR1, SIGHUP, SIGPIPE, SIGXCPU}) {
        TestChild child(GetParam(), "raises_given_signal", {.text = std::to_string(number)});
        EXPECT_EQ(child.wait(), ExitStatus::signalled(static_cast<std::uint32_t>(number))) << ::strsignal(number);
    }
}

TEST(OsPosixStatus, AnExitCodeHasEightBitsOnEverySystem) {
    siginfo_t info{};
    info.si_code = CLD_EXITED;
    info.si_status = -1;  // as macOS tells it
    EXPECT_EQ(posix::status_of(info), ExitStatus::exited(255));
}

OS_CHILD(lists_descriptors) {
    std::string text;
    for (int fd = 0; fd < 2000; ++fd) {
        if (::fcntl(fd, F_GETFD) != -1) text += std::to_string(fd) + ' ';
    }
    set_answer(args.stage, text);
    return 0;
}

OS_CHILD(tells_whether_open) { return ::fcntl(std::stoi(text_of(args.stage)), F_GETFD) == -1 ? 0 : 1; }

TEST_P(OsPosix, NothingIsInheritedUnasked) {
    const int foreign = ::fcntl(STDIN_FILENO, F_DUPFD, 700);  // no FD_CLOEXEC
    ASSERT_GE(foreign, 700);
    TestChild child(GetParam(), "tells_whether_open", {.text = std::to_string(foreign)});
    const auto status = child.wait();
    ::close(foreign);
    // Sharing the program's descriptors is what fork is for.
    EXPECT_EQ(status, ExitStatus::exited(GetParam() == StartMethod::fork ? 1 : 0));
}

OS_CHILD(tells_close_on_exec) {
    for (int fd = 3; fd < 2000; ++fd) {
        const int flags = ::fcntl(fd, F_GETFD);
        if (flags != -1 && (flags & FD_CLOEXEC) == 0) return static_cast<std::uint32_t>(fd);
    }
    return 0;
}

TEST(OsPosixDescriptors, AllThatAChildHasIsClosedOnExec) {
    const Segment segment = Segment::create(4096);
    // (A child made by fork shares what the program that runs the tests was given.)
    for (const StartMethod method : {StartMethod::spawn, StartMethod::forkserver}) {
        TestChild child(method, "tells_close_on_exec", {.handles = {segment.handle(), segment.handle()}});
        EXPECT_EQ(child.wait(), ExitStatus::exited(0)) << name_of(method);
    }
}

OS_CHILD(tells_mask_and_limits) {
    const mode_t mask = ::umask(0);
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    args.stage.words[0] = mask;
    args.stage.words[1] = files.rlim_cur;
#if defined(__linux__)
    cpu_set_t affinity;
    ::sched_getaffinity(0, sizeof affinity, &affinity);
    args.stage.words[2] = static_cast<std::uint64_t>(CPU_COUNT(&affinity));
    args.stage.words[3] = CPU_ISSET(0, &affinity) ? 1 : 0;
#endif
    return 0;
}

TEST_P(OsPosix, MaskLimitsAndAffinityAreTheParentsAtEachStart) {
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
#if defined(__linux__)
    cpu_set_t affinity;
    ASSERT_EQ(::sched_getaffinity(0, sizeof affinity, &affinity), 0);
#endif
    for (const mode_t mask : {mode_t(027), mode_t(022)}) {
        const rlimit limit{before.rlim_cur - mask, before.rlim_max};
        const mode_t old_mask = ::umask(mask);
        ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
#if defined(__linux__)
        cpu_set_t narrow;
        CPU_ZERO(&narrow);
        for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
            if (CPU_ISSET(cpu, &affinity) && (CPU_COUNT(&narrow) == 0 || mask == 022)) CPU_SET(cpu, &narrow);
        }
        ::sched_setaffinity(0, sizeof narrow, &narrow);
#endif
        TestChild child(GetParam(), "tells_mask_and_limits");
        const auto status = child.wait();
        ::umask(old_mask);
        ::setrlimit(RLIMIT_NOFILE, &before);
#if defined(__linux__)
        ::sched_setaffinity(0, sizeof affinity, &affinity);
        EXPECT_EQ(child.word(2), static_cast<std::uint64_t>(CPU_COUNT(&narrow)));
#endif
        ASSERT_EQ(status, ExitStatus::exited(0));
        EXPECT_EQ(child.word(0), mask);
        EXPECT_EQ(child.word(1), limit.rlim_cur);
    }
}

OS_CHILD(tells_signal_state) {
    sigset_t mask;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    for (int number = 1; number < 32; ++number) {
        if (sigismember(&mask, number) == 1) return static_cast<std::uint32_t>(number);
        struct sigaction action {};
        ::sigaction(number, nullptr, &action);
        if (action.sa_handler != SIG_DFL) return 100 + static_cast<std::uint32_t>(number);
    }
    return 0;
}

TEST_P(OsPosix, SignalsAreReset) {
    sigset_t some;
    sigset_t before;
    sigemptyset(&some);
    sigaddset(&some, SIGUSR1);
    sigaddset(&some, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &some, &before);
    const auto old_pipe = ::signal(SIGPIPE, SIG_IGN);
    const auto old_user = ::signal(SIGUSR2, [](int) {});
    TestChild child(GetParam(), "tells_signal_state");
    const auto status = child.wait();
    ::signal(SIGUSR2, old_user);
    ::signal(SIGPIPE, old_pipe);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    EXPECT_EQ(status, ExitStatus::exited(0));
}

OS_CHILD(tells_whether_hangup_is_ignored) {
    struct sigaction action {};
    ::sigaction(SIGHUP, nullptr, &action);
    return action.sa_handler == SIG_IGN ? 1 : 0;
}

TEST_P(OsPosix, NohupHoldsForChildren) {
    const auto before = ::signal(SIGHUP, SIG_IGN);
    TestChild child(GetParam(), "tells_whether_hangup_is_ignored");
    const auto status = child.wait();
    ::signal(SIGHUP, before);
    EXPECT_EQ(status, ExitStatus::exited(1));
}

// ---- hosts that do as they like -------------------------------------------------------------------------------------

TEST_P(OsPosix, AHostThatIgnoresSigchldLearnsOfEachEnd) {
    const auto before = ::signal(SIGCHLD, SIG_IGN);
    for (int i = 0; i < 20; ++i) {
        TestChild child(GetParam(), "posix_exits_with_given_code", {.text = "3"});
        const auto status = child.wait();
        EXPECT_TRUE(status == ExitStatus::exited(3) || status == ExitStatus::unknown()) << to_string(status.value());
        EXPECT_EQ(child.exits(), 1);
    }
    ::signal(SIGCHLD, before);
}

TEST_P(OsPosix, AHostThatReapsEveryChildLearnsOfEachEnd) {
    std::atomic<bool> done{false};
    std::thread reaper([&] {
        while (!done) {
            while (::waitpid(-1, nullptr, WNOHANG) > 0) {}
            std::this_thread::yield();
        }
    });
    for (int i = 0; i < 20; ++i) {
        TestChild child(GetParam(), "posix_exits_with_given_code", {.text = "3"});
        const auto status = child.wait();
        EXPECT_TRUE(status == ExitStatus::exited(3) || status == ExitStatus::unknown()) << to_string(status.value());
        EXPECT_EQ(child.exits(), 1);
    }
    done = true;
    reaper.join();
}

OS_CHILD(closes_all_and_starts_one) {
    for (const StartMethod method : start_methods()) {
        if (name_of(method) != text_of(args.stage)) continue;
        ::close(STDIN_FILENO);
        ::close(STDOUT_FILENO);
        ::close(STDERR_FILENO);
        TestChild child(method, "lists_descriptors");
        if (child.wait() != ExitStatus::exited(0)) return 1;
        if (answer_of(child.stage()).rfind("0 1 2 ", 0) != 0) return 2;
        return ::fcntl(0, F_GETFD) == -1 && ::fcntl(1, F_GETFD) == -1 && ::fcntl(2, F_GETFD) == -1 ? 0 : 3;
    }
    return 4;
}

TEST_P(OsPosix, AHostWithoutStandardStreamsStartsChildren) {
    TestChild child(StartMethod::spawn, "closes_all_and_starts_one", {.text = name_of(GetParam())});
    EXPECT_EQ(child.wait(), ExitStatus::exited(0));
}

OS_CHILD(adopts_many) {
    for (std::size_t i = 0; i < args.handles.size(); ++i) {
        const Segment segment = Segment::adopt(std::move(args.handles[i]), 4096);
        if (segment.data()[0] != static_cast<std::byte>(i)) return static_cast<std::uint32_t>(i + 1);
    }
    return 0;
}

TEST_P(OsPosix, HandlesWhoseNumbersAreTheTargetsOfOthersArriveInOrder) {
    std::vector<Segment> segments;
    StartOptions options;
    for (int i = 0; i < 20; ++i) {
        segments.push_back(Segment::create(4096));
        segments.back().data()[0] = static_cast<std::byte>(19 - i);
    }
    for (auto segment = segments.rbegin(); segment != segments.rend(); ++segment) {
        options.handles.push_back(segment->handle());  // falling numbers: each is the target of another
    }
    TestChild child(GetParam(), "adopts_many", options);
    EXPECT_EQ(child.wait(), ExitStatus::exited(0));
}

#if !MULTIPROC_THREAD_SANITIZER  // which ends a copy of a process with threads when that starts a thread of its own
TEST_P(OsPosix, ACopyThatTheHostForkedCanStartItsOwnChildren) {
    TestChild before(GetParam(), "posix_waits");
    const pid_t copy = ::fork();
    if (copy == 0) {
        forget_launching();
        std::uint32_t code = 1;
        {
            TestChild child(GetParam(), "posix_exits_with_given_code", {.text = "6"});
            if (child.wait() == ExitStatus::exited(6)) code = 0;
        }
        shut_down_launching();
        exit_now(code);
    }
    ASSERT_GT(copy, 0);
    int status = -1;
    ASSERT_EQ(::waitpid(copy, &status, 0), copy);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    EXPECT_EQ(before.exits(), 0);  // the copy's end is nothing to the original's child
    before.process().signal(Signal::terminate);
    EXPECT_EQ(before.wait(), ExitStatus::signalled(SIGTERM));
    TestChild after(GetParam(), "posix_exits_with_given_code", {.text = "8"});
    EXPECT_EQ(after.wait(), ExitStatus::exited(8));
}
#endif

TEST_P(OsPosix, TheSentinelIsReadyAtTheEndAndNotBefore) {
    TestChild child(GetParam(), "posix_waits");
    ASSERT_TRUE(await_word(child.stage().words[0], 1));
    pollfd entry{static_cast<int>(child.process().sentinel()), POLLIN, 0};
    EXPECT_EQ(::poll(&entry, 1, 0), 0);
    child.process().signal(Signal::kill);
    EXPECT_EQ(::poll(&entry, 1, static_cast<int>(std::chrono::milliseconds(patience).count())), 1);
}

TEST_P(OsPosix, NoZombieIsLeft) {
    for (int i = 0; i < 5; ++i) {
        TestChild child(GetParam(), "posix_exits_with_given_code", {.text = "0"});
        ASSERT_TRUE(child.wait().has_value());
    }
    EXPECT_THROW(TestChild(StartMethod::spawn, "posix_waits", {.executable = "/no/such/program"}), std::system_error);
    shut_down_launching();
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
    EXPECT_EQ(errno, ECHILD);
}

TEST_P(OsPosix, BrokenOrClosedStdoutDoesNotBreakTheEnd) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    ::close(ends[0]);
    TestChild child(GetParam(), "posix_exits_with_given_code", {.text = "2", .out = ends[1]});
    ::close(ends[1]);
    EXPECT_EQ(child.wait(), ExitStatus::exited(2));
}

OS_CHILD(prints_into_the_void) {
    std::printf("nobody reads this");
    if (text_of(args.stage) == "closed") ::close(STDOUT_FILENO);
    flush_streams();
    return 12;
}

TEST_P(OsPosix, FlushingIntoABrokenOrClosedStdoutDoesNoHarm) {
    for (const char* how : {"broken", "closed"}) {
        int ends[2];
        ASSERT_EQ(::pipe(ends), 0);
        ::close(ends[0]);
        TestChild child(GetParam(), "prints_into_the_void", {.text = how, .out = ends[1]});
        ::close(ends[1]);
        EXPECT_EQ(child.wait(), ExitStatus::exited(12)) << how;
    }
}

// ---- parents that end -----------------------------------------------------------------------------------------------

OS_CHILD(starts_one_and_ends_at_once) {
    for (const StartMethod method : start_methods()) {
        if (name_of(method) != text_of(args.stage)) continue;
        // Not waited for: the child may find its parent gone before it settles.
        StartOptions options;
        options.handles = {args.segment.handle(), args.handles.at(0).raw()};
        new TestChild(method, "holds_a_pipe", options);
        exit_now(0);
    }
    return 1;
}

OS_CHILD(holds_a_pipe) { wait_for_the_end(); }

TEST_P(OsPosix, AChildWhoseParentEndsRightAfterTheStartEndsToo) {
    for (int i = 0; i < 20; ++i) {
        int ends[2];
        ASSERT_EQ(::pipe(ends), 0);
        ::fcntl(ends[0], F_SETFD, FD_CLOEXEC);
        ::fcntl(ends[1], F_SETFD, FD_CLOEXEC);
        {
            TestChild child(StartMethod::spawn, "starts_one_and_ends_at_once",
                            {.text = name_of(GetParam()), .handles = {ends[1]}});
            ::close(ends[1]);
            ASSERT_EQ(child.wait(), ExitStatus::exited(0));
        }
        // The end of file comes when the last process that has the pipe is gone.
        pollfd entry{ends[0], POLLIN, 0};
        EXPECT_EQ(::poll(&entry, 1, static_cast<int>(std::chrono::milliseconds(patience).count())), 1);
        ::close(ends[0]);
    }
}

TEST_P(OsPosix, AChildOutlivesTheThreadThatStartedIt) {
    std::unique_ptr<TestChild> child;
    std::thread([&] { child = std::make_unique<TestChild>(GetParam(), "posix_waits"); }).join();
    ASSERT_TRUE(await_word(child->stage().words[0], 1));
    EXPECT_EQ(child->exits(), 0);
    child->process().signal(Signal::terminate);
    EXPECT_EQ(child->wait(), ExitStatus::signalled(SIGTERM));
}

// ---- the fork server ------------------------------------------------------------------------------------------------

OS_CHILD(tells_its_system_parent) {
    args.stage.words[0] = static_cast<std::uint64_t>(::getppid());
    args.stage.words[1] = 1;
    if (text_of(args.stage) == "stays") wait_for_the_end();
    return 9;
}

TEST(OsForkServer, KilledItIsReplacedAndRunningChildrenAreUnaffected) {
    TestChild running(StartMethod::forkserver, "tells_its_system_parent", {.text = "stays"});
    ASSERT_TRUE(await_word(running.stage().words[1], 1));
    const auto server = static_cast<std::uint32_t>(running.word(0));
    ASSERT_NE(server, current_pid());
    ProcessWatch watch(server);
    ASSERT_EQ(::kill(static_cast<pid_t>(server), SIGKILL), 0);
    ASSERT_TRUE(watch.await_end());
    TestChild next(StartMethod::forkserver, "tells_its_system_parent");
    EXPECT_EQ(next.wait(), ExitStatus::exited(9));
    EXPECT_NE(next.word(0), server);
    EXPECT_EQ(running.exits(), 0);
    EXPECT_TRUE(is_running(running.process().pid(), 0));
    running.process().signal(Signal::terminate);
    EXPECT_EQ(running.wait(), ExitStatus::unknown());
    EXPECT_EQ(running.exits(), 1);
}

OS_CHILD(starts_one_by_the_server) {
    TestChild child(StartMethod::forkserver, "tells_its_system_parent");
    if (child.wait() != ExitStatus::exited(9)) return 1;
    args.stage.words[0] = child.word(0);
    args.stage.words[1] = static_cast<std::uint64_t>(::getppid());
    return 0;
}

TEST(OsForkServer, GrandchildrenAreForkedByTheSameServer) {
    TestChild child(StartMethod::forkserver, "starts_one_by_the_server");
    ASSERT_EQ(child.wait(), ExitStatus::exited(0));
    EXPECT_EQ(child.word(0), child.word(1));
    for (const StartMethod method : {StartMethod::spawn, StartMethod::fork}) {
        TestChild other(method, "starts_one_by_the_server");
        ASSERT_EQ(other.wait(), ExitStatus::exited(0));
        EXPECT_EQ(other.word(0), child.word(1)) << name_of(method);
    }
}

OS_CHILD(starts_one_when_the_server_is_gone) {
    args.stage.words[1] = static_cast<std::uint64_t>(::getppid());
    args.stage.words[0] = 1;
    if (!await_word(args.stage.words[2], 1)) return 1;
    TestChild child(StartMethod::forkserver, "tells_its_system_parent");
    if (child.wait() != ExitStatus::exited(9)) return 2;
    return child.word(0) == args.stage.words[1] ? 3 : 0;
}

TEST(OsForkServer, AChildThatCannotReachItStartsItsOwn) {
    TestChild child(StartMethod::forkserver, "starts_one_when_the_server_is_gone");
    ASSERT_TRUE(await_word(child.stage().words[0], 1));
    ProcessWatch watch(static_cast<std::uint32_t>(child.word(1)));
    ::kill(static_cast<pid_t>(child.word(1)), SIGKILL);
    ASSERT_TRUE(watch.await_end());
    child.stage().words[2] = 1;
    EXPECT_EQ(child.wait(), ExitStatus::unknown());  // its server was killed, so nobody saw how it ended
}

TEST(OsForkServer, EndsWithItsOwner) {
    TestChild owner(StartMethod::spawn, "owns_a_server");
    ASSERT_TRUE(await_word(owner.stage().words[1], 1));
    ProcessWatch server(static_cast<std::uint32_t>(owner.word(0)));
    owner.process().signal(Signal::kill);
    ASSERT_TRUE(owner.wait().has_value());
    EXPECT_TRUE(server.await_end());
}

OS_CHILD(owns_a_server) {
    shut_down_launching();
    forget_launching();  // and with it the way to the server of its ancestors
    TestChild child(StartMethod::forkserver, "tells_its_system_parent");
    if (!child.wait()) return 1;
    args.stage.words[0] = child.word(0);
    args.stage.words[1] = 1;
    wait_for_the_end();
}

TEST(OsForkServer, IgnoresInterrupts) {
    TestChild child(StartMethod::forkserver, "tells_its_system_parent", {.text = "stays"});
    ASSERT_TRUE(await_word(child.stage().words[1], 1));
    ::kill(static_cast<pid_t>(child.word(0)), SIGINT);
    TestChild next(StartMethod::forkserver, "tells_its_system_parent");
    EXPECT_EQ(next.wait(), ExitStatus::exited(9));
    EXPECT_EQ(next.word(0), child.word(0));
}

TEST(OsForkServer, ItsEndIsNotSeenByTheHost) {
    TestChild child(StartMethod::forkserver, "tells_its_system_parent");
    ASSERT_EQ(child.wait(), ExitStatus::exited(9));
    ProcessWatch server(static_cast<std::uint32_t>(child.word(0)));
    shut_down_launching();
    EXPECT_TRUE(server.await_end());
}

// As a program would that starts a thread before main.
struct ThreadBeforeMain {
    ThreadBeforeMain() {
        if (std::getenv("MULTIPROC_OS_TEST_THREAD") != nullptr) std::thread(wait_for_the_end).detach();
    }
} thread_before_main;

OS_CHILD(starts_two_although_a_server_has_threads) {
    forget_launching();  // and with it the way to the server of its ancestors
    ::setenv("MULTIPROC_OS_TEST_THREAD", "1", 1);
    for (int i = 0; i < 2; ++i) {
        TestChild child(StartMethod::forkserver, "tells_its_system_parent");
        if (child.wait() != ExitStatus::exited(9)) return 1;
        if (child.word(0) != current_pid()) return 2;  // not forked by a server
    }
    return 0;
}

TEST(OsForkServer, ThreadsBeforeMainMakeItSpawnWithOneWarning) {
    const Handle err = temporary_file();
    TestChild child(StartMethod::spawn, "starts_two_although_a_server_has_threads", {.err = err.raw()});
    EXPECT_EQ(child.wait(), ExitStatus::exited(0));
    const std::string text = contents_of(err.raw());
    const std::size_t first = text.find("multiproc: ");
    ASSERT_NE(first, std::string::npos) << text;
    EXPECT_NE(text.find("spawn", first), std::string::npos) << text;
    EXPECT_EQ(text.find("multiproc: ", first + 1), std::string::npos) << text;
}

#if !MULTIPROC_ADDRESS_SANITIZER  // with it comes a check of types that takes a descriptor each time an error is thrown
OS_CHILD(starts_beyond_the_limit) {
    // Descriptors for the child's streams and the request, but not many more.
    const std::size_t used = open_handle_count();
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const auto before = limit.rlim_cur;
    for (const StartMethod method : start_methods()) {
        if (name_of(method) != text_of(args.stage)) continue;
        { TestChild first(method, "posix_exits_with_given_code", {.text = "0"}); }
        const std::size_t settled = open_handle_count();
        for (int i = 0; i < 5; ++i) {
            limit.rlim_cur = static_cast<rlim_t>(used + 4);
            ::setrlimit(RLIMIT_NOFILE, &limit);
            bool refused = false;
            try {
                const TestChild child(method, "posix_exits_with_given_code", {.text = "0"});
            } catch (const std::system_error& error) { refused = error.code() == std::errc::too_many_files_open; }
            limit.rlim_cur = before;
            ::setrlimit(RLIMIT_NOFILE, &limit);
            if (!refused) return 1;
        }
        if (open_handle_count() > settled) return 3;
        TestChild last(method, "posix_exits_with_given_code", {.text = "0"});
        return last.wait() == ExitStatus::exited(0) ? 0 : 2;
    }
    return 4;
}

TEST_P(OsPosix, TooManyOpenDescriptorsAreAnErrorAtStartAndLeaveNothing) {
    TestChild child(StartMethod::spawn, "starts_beyond_the_limit", {.text = name_of(GetParam())});
    EXPECT_EQ(child.wait(), ExitStatus::exited(0));
}
#endif

// ---- the executable -------------------------------------------------------------------------------------------------

TEST(OsExecutable, ReplacedOnDiskItStillStartsTheSame) {
    const auto directory = std::filesystem::temp_directory_path() / ("multiproc-os-" + std::to_string(current_pid()));
    std::filesystem::create_directory(directory);
    const auto program = directory / "copy";
    std::filesystem::copy_file(executable_path(), program);
    {
        TestChild child(StartMethod::spawn, "removes_itself_and_starts_one", {.executable = program.string()});
        const auto status = child.wait();
        EXPECT_TRUE(status == ExitStatus::exited(0)) << to_string(status.value());
    }
    std::filesystem::remove_all(directory);
}

OS_CHILD(removes_itself_and_starts_one) {
    std::filesystem::remove(executable_path());
    const bool can_start = posix::segments_are_sealed();  // Linux's own calls are in use
    for (const StartMethod method : {StartMethod::spawn, StartMethod::fork}) {
        try {
            TestChild child(method, "posix_exits_with_given_code", {.text = "5"});
            if (child.wait() != ExitStatus::exited(5)) return 1;
        } catch (const std::system_error& error) {
            // Without the kernel's link to the program it is a clear error.
            if (can_start || method == StartMethod::fork || error.code() != std::errc::no_such_file_or_directory)
                return 2;
        }
    }
    return 0;
}

TEST(OsExecutable, ABootstrapVariableForAnotherProcessIsNotTakenForOurs) {
    // As a program sees it that a child runs by system() before it took its bootstrap: this process is not the parent
    // of itself.
    const std::string stale =
        "1 c " + std::to_string(current_pid()) + " " + std::to_string(start_time(current_pid())) + " 0 0 1";
    ::setenv("MULTIPROC_BOOTSTRAP", stale.c_str(), 1);
    EXPECT_FALSE(is_bootstrap_pending());
    EXPECT_FALSE(take_bootstrap().has_value());
    EXPECT_EQ(::getenv("MULTIPROC_BOOTSTRAP"), nullptr);
    ::setenv("MULTIPROC_BOOTSTRAP", "nonsense", 1);
    EXPECT_FALSE(is_bootstrap_pending());
    ::unsetenv("MULTIPROC_BOOTSTRAP");
}

TEST(OsExecutable, AChildThatCannotTakeItsBootstrapEndsInsteadOfRunningMain) {
    for (const char* variable : {"99 of another version", "1 c 1 0 0 0 900"}) {
        const pid_t copy = ::fork();
        if (copy == 0) {
            ::setenv("MULTIPROC_BOOTSTRAP", variable, 1);
            if (!is_bootstrap_pending()) exit_now(50);
            take_bootstrap();
            exit_now(51);
        }
        int status = -1;
        ASSERT_EQ(::waitpid(copy, &status, 0), copy);
        EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << variable << ": " << status;
    }
}

// ---- memory, parking, system ----------------------------------------------------------------------------------------

TEST(OsPosixSegment, ACreatorCannotCutItShorterWhereTheSystemCanForbidIt) {
    const Segment segment = Segment::create(8192);
    const int result = ::ftruncate(static_cast<int>(segment.handle()), 100);
    EXPECT_EQ(result == 0, !posix::segments_are_sealed());
}

TEST(OsPosixSegment, AdoptRefusesAFileThatCouldBeCutShorter) {
    Handle file = temporary_file();
    ASSERT_EQ(::ftruncate(static_cast<int>(file.raw()), 8192), 0);
    if (posix::segments_are_sealed()) {
        EXPECT_THROW(Segment::adopt(std::move(file), 8192), std::system_error);
    } else {
        EXPECT_NO_THROW(Segment::adopt(std::move(file), 8192));  // told in the documentation of the portable build
    }
}

TEST(OsPosixSegment, AdoptRefusesWhatIsOpenForReadingOnly) {
    const Segment segment = Segment::create(4096);
    const std::string path = "/dev/fd/" + std::to_string(segment.handle());
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_GE(file, 0);
    try {
        Segment::adopt(Handle(file), 4096);
        ADD_FAILURE() << "it was adopted";
    } catch (const std::system_error& error) { EXPECT_EQ(error.code(), std::errc::bad_message); }
}

TEST(OsPosixParking, PollingKeepsTheSameContract) {
    const auto lot = ParkingLot::create();
    const bool in_kernel = posix::parks_in_kernel();
    EXPECT_TRUE(in_kernel);  // this program brings the calls that the portable way looks for
    posix::poll_while_parked(true);
    std::atomic<std::uint32_t> word{0};
    const Deadline begin = Clock::now();
    bool woken = true;
    while (woken) woken = lot->park(0, word, 0, begin + std::chrono::milliseconds(20));
    EXPECT_GE(Clock::now(), begin + std::chrono::milliseconds(20));
    std::thread waker([&] {
        word = 1;
        lot->unpark(0, word);
    });
    while (word.load() == 0) lot->park(0, word, 0, never);
    waker.join();
    posix::poll_while_parked(false);
    EXPECT_EQ(posix::parks_in_kernel(), in_kernel);
}

TEST(OsPosixParking, ASignalDoesNotShortenTheDeadline) {
    const auto lot = ParkingLot::create();
    std::atomic<std::uint32_t> word{0};
    struct sigaction action {};
    struct sigaction before {};
    action.sa_handler = [](int) {};
    ::sigaction(SIGUSR1, &action, &before);
    const pthread_t self = ::pthread_self();
    std::atomic<bool> done{false};
    std::thread disturber([&] {
        while (!done) {
            ::pthread_kill(self, SIGUSR1);
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    });
    const Deadline deadline = Clock::now() + std::chrono::milliseconds(50);
    while (lot->park(0, word, 0, deadline)) {}
    EXPECT_GE(Clock::now(), deadline);
    done = true;
    disturber.join();
    ::sigaction(SIGUSR1, &before, nullptr);
}

class CpuQuota : public testing::Test {
protected:
    CpuQuota() : root_(std::filesystem::temp_directory_path() / ("multiproc-quota-" + std::to_string(current_pid()))) {
        std::filesystem::remove_all(root_);
    }
    ~CpuQuota() override { std::filesystem::remove_all(root_); }

    void write(const std::string& path, const std::string& text) const {
        std::filesystem::create_directories((root_ / path).parent_path());
        std::ofstream(root_ / path) << text << '\n';
    }

    std::filesystem::path root_;
};

TEST_F(CpuQuota, Version2TakesTheLeastOnTheWayUp) {
    write("proc/self/cgroup", "0::/slice/job");
    write("proc/self/mountinfo", "30 20 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw");
    EXPECT_FALSE(posix::cpu_quota(root_).has_value());
    write("sys/fs/cgroup/slice/job/cpu.max", "max 100000");
    EXPECT_FALSE(posix::cpu_quota(root_).has_value());
    write("sys/fs/cgroup/slice/cpu.max", "150000 100000");
    EXPECT_EQ(posix::cpu_quota(root_), 1.5);
    write("sys/fs/cgroup/slice/job/cpu.max", "50000 100000");
    EXPECT_EQ(posix::cpu_quota(root_), 0.5);
}

TEST_F(CpuQuota, Version1AndAContainersView) {
    write("proc/self/cgroup", "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc");
    write("proc/self/mountinfo", "31 20 0:27 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct");
    write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1");
    write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000");
    EXPECT_FALSE(posix::cpu_quota(root_).has_value());
    write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "300000");
    EXPECT_EQ(posix::cpu_quota(root_), 3.0);
}

TEST_F(CpuQuota, WithoutControlGroupsThereIsNone) { EXPECT_FALSE(posix::cpu_quota(root_).has_value()); }

TEST(OsPosixExitStatus, SignalsAreNamed) {
    EXPECT_EQ(signal_name(SIGSEGV), "SIGSEGV");
    EXPECT_EQ(signal_name(SIGABRT), "SIGABRT");
    EXPECT_EQ(signal_name(77), "signal 77");
    EXPECT_EQ(to_string(ExitStatus::signalled(SIGSEGV)), "killed by SIGSEGV");
}

// A server that is not believed any more tells nothing: the end is found without it, also of a child that had ended before.
TEST(OsPosixExitWatch, TheEndsOfChildrenWhoseServerWasGivenUpAreFound) {
    for (const bool is_over : {false, true}) {
        posix::ExitWatch watch;
        auto [requests, servers_requests] = posix::make_socket_pair(SOCK_STREAM);
        auto [statuses, servers_statuses] = posix::make_socket_pair(SOCK_STREAM);
        const auto server = std::make_shared<posix::ServerConnection>(std::move(requests), std::move(statuses));
        watch.add_server(server);
        auto [gate, opens] = posix::make_pipe();
        const pid_t pid = ::fork();
        if (pid == 0) {
            char byte = 0;
            ::close(static_cast<int>(opens.raw()));
            (void)!::read(static_cast<int>(gate.raw()), &byte, 1);
            ::_exit(0);
        }
        const auto child = std::make_shared<posix::Watched>();
        child->pid = pid;
        child->server = server;
        if (posix::has_pidfds()) {
            child->end = posix::open_pidfd(pid);
            child->exact = true;
        } else {
            child->end = posix::make_pipe().first;  // whose writer is gone with the child
        }
        std::promise<ExitStatus> end;
        child->on_exit = [&end](ExitStatus status) { end.set_value(status); };
        watch.add(child);
        if (is_over) {
            opens.reset();
            siginfo_t info{};
            ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT);
        }
        watch.abandon(*server);
        opens.reset();
        EXPECT_EQ(end.get_future().wait_for(std::chrono::minutes(1)), std::future_status::ready);
        EXPECT_TRUE(server->is_gone());
        ::waitpid(pid, nullptr, 0);
    }
}

// Each write costs it one call, and the reader one for each number.
TEST(OsHandleLinkPosix, APeerThatSendsMoreAndMoreKeepsNobodyBusy) {
    auto [link, child_end] = HandleLink::create();
    std::atomic<bool> is_over{false};
    std::thread flood([&is_over, socket = static_cast<int>(child_end.raw())] {
        const std::vector<std::uint64_t> zeros(8'192);
        while (!is_over) (void)!::send(socket, zeros.data(), zeros.size() * sizeof(std::uint64_t), MSG_DONTWAIT);
    });
    for (const std::uint64_t token : {std::uint64_t{1}, std::uint64_t{5}, UINT64_MAX}) {
        std::error_code error;
        try {
            link->receive(token);
        } catch (const std::system_error& refusal) { error = refusal.code(); }
        EXPECT_EQ(error, std::errc::bad_message);
    }
    is_over = true;
    flood.join();
}

}  // namespace
}  // namespace multiproc::os::test
