// Starting a process and learning of its end, under every start method of the platform.
#include "support/os_child.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <system_error>
#include <thread>

namespace multiproc::os::test {
namespace {

class OsLaunch : public testing::TestWithParam<StartMethod> {};

INSTANTIATE_TEST_SUITE_P(Methods, OsLaunch, testing::ValuesIn(start_methods()),
                         [](const auto& method) { return name_of(method.param); });

constexpr std::uint32_t sigint_number = 2;
constexpr std::uint32_t sigkill_number = 9;
constexpr std::uint32_t sigterm_number = 15;

OS_CHILD(exits_with_given_code) { return static_cast<std::uint32_t>(std::stoul(text_of(args.stage))); }

OS_CHILD(waits) {
    args.stage.words[0] = 1;
    wait_for_the_end();
}

TEST_P(OsLaunch, ReportsTheExitCode) {
    for (const std::uint32_t code : {0u, 1u, 3u, 255u}) {
        TestChild child(GetParam(), "exits_with_given_code", {.text = std::to_string(code)});
        EXPECT_EQ(child.wait(), ExitStatus::exited(code));
        EXPECT_EQ(child.exits(), 1);
    }
}

TEST_P(OsLaunch, ReportsTerminate) {
    TestChild child(GetParam(), "waits");
    ASSERT_TRUE(await_word(child.stage().words[0], 1));
    EXPECT_EQ(child.exits(), 0);
    child.process().signal(Signal::terminate);
    EXPECT_EQ(child.wait(), ExitStatus::signalled(sigterm_number));
}

TEST_P(OsLaunch, ReportsKill) {
    TestChild child(GetParam(), "waits");
    ASSERT_TRUE(await_word(child.stage().words[0], 1));
    child.process().signal(Signal::kill);
    EXPECT_EQ(child.wait(), ExitStatus::signalled(sigkill_number));
    child.process().signal(Signal::kill);  // it has ended: nothing happens
    EXPECT_EQ(child.exits(), 1);
}

TEST_P(OsLaunch, TerminateRightAfterStartIsReportedEachTime) {
    for (int i = 0; i < 100; ++i) {
        TestChild child(GetParam(), "waits");
        child.process().signal(Signal::terminate);
        ASSERT_EQ(child.wait(), ExitStatus::signalled(sigterm_number)) << "start " << i;
    }
}

std::atomic<int> interrupts{0};

OS_CHILD(counts_interrupts) {
    std::signal(SIGINT, [](int) { interrupts = 1; });
    args.stage.words[0] = 1;
    while (interrupts == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return 42;
}

TEST_P(OsLaunch, InterruptReachesTheHandler) {
    TestChild child(GetParam(), "counts_interrupts");
    ASSERT_TRUE(await_word(child.stage().words[0], 1));
    child.process().signal(Signal::interrupt);
    EXPECT_EQ(child.wait(), ExitStatus::exited(42));
}

OS_CHILD(tells_its_pids) {
    args.stage.words[0] = current_pid();
    args.stage.words[1] = args.parent_pid;
    args.stage.words[2] = is_bootstrap_pending() ? 1 : 0;
    args.stage.words[3] = std::getenv("MULTIPROC_BOOTSTRAP") == nullptr ? 0 : 1;
    return 0;
}

TEST_P(OsLaunch, ChildKnowsItsParentAndStartsItsOwnChildrenClean) {
    TestChild child(GetParam(), "tells_its_pids");
    ASSERT_EQ(child.wait(), ExitStatus::exited(0));
    EXPECT_EQ(child.word(0), child.process().pid());
    EXPECT_EQ(child.word(1), current_pid());
    EXPECT_EQ(child.word(2), 0u);
    EXPECT_EQ(child.word(3), 0u);
}

OS_CHILD(prints) {
    std::printf("printed ");
    std::fflush(stdout);
    std::cout << "in order" << std::flush;
    std::fprintf(stderr, "complained");
    return 0;
}

TEST_P(OsLaunch, StdoutBeforeSettleIsInvisibleAndAfterItIsTheGivenOne) {
    const Handle out = temporary_file();
    const Handle err = temporary_file();
    TestChild child(GetParam(), "prints", {.out = out.raw(), .err = err.raw()});
    ASSERT_EQ(child.wait(), ExitStatus::exited(0));
    EXPECT_EQ(contents_of(out.raw()), "printed in order");
    EXPECT_EQ(contents_of(err.raw()), "complained");
}

TEST_P(OsLaunch, WhatTheParentHasNotFlushedIsNotPrintedTwice) {
    std::printf(" ");  // stays in the buffer of a parent whose stdout is no terminal
    const Handle out = temporary_file();
    TestChild child(GetParam(), "prints", {.out = out.raw()});
    ASSERT_EQ(child.wait(), ExitStatus::exited(0));
    EXPECT_EQ(contents_of(out.raw()), "printed in order");
}

OS_CHILD(reads_stdin) { return std::getchar() == EOF ? 0 : 1; }

TEST_P(OsLaunch, StdinIsEmpty) {
    TestChild child(GetParam(), "reads_stdin");
    EXPECT_EQ(child.wait(), ExitStatus::exited(0));
}

OS_CHILD(tells_environment) {
    const char* value = std::getenv("MULTIPROC_OS_TEST");
    set_answer(args.stage, value == nullptr ? "(unset)" : value);
    return 0;
}

TEST_P(OsLaunch, EnvironmentIsTheParentsAtEachStart) {
    for (const std::string value : {"one", "two"}) {
        set_environment("MULTIPROC_OS_TEST", value);
        TestChild child(GetParam(), "tells_environment");
        ASSERT_EQ(child.wait(), ExitStatus::exited(0));
        EXPECT_EQ(answer_of(child.stage()), value);
    }
}

TEST_P(OsLaunch, EnvironmentCanBeGiven) {
    set_environment("MULTIPROC_OS_TEST", "the parent's");
    std::vector<std::string> env{"MULTIPROC_OS_TEST=the child's"};
    if (const char* path = std::getenv("PATH")) env.push_back(std::string("PATH=") + path);  // where DLLs are found
    TestChild child(GetParam(), "tells_environment", {.env = env});
    ASSERT_EQ(child.wait(), ExitStatus::exited(0));
    EXPECT_EQ(answer_of(child.stage()), "the child's");
}

OS_CHILD(tells_directory) {
    set_answer(args.stage, std::filesystem::current_path().string());
    return 0;
}

TEST_P(OsLaunch, DirectoryIsTheParentsAtEachStart) {
    const auto before = std::filesystem::current_path();
    const auto elsewhere = std::filesystem::canonical(std::filesystem::temp_directory_path());
    for (const auto& directory : {elsewhere, before}) {
        std::filesystem::current_path(directory);
        TestChild child(GetParam(), "tells_directory");
        std::filesystem::current_path(before);
        ASSERT_EQ(child.wait(), ExitStatus::exited(0));
        EXPECT_TRUE(std::filesystem::equivalent(answer_of(child.stage()), directory)) << answer_of(child.stage());
    }
}

TEST_P(OsLaunch, DirectoryCanBeGiven) {
    const auto elsewhere = std::filesystem::canonical(std::filesystem::temp_directory_path());
    TestChild child(GetParam(), "tells_directory", {.cwd = elsewhere.string()});
    ASSERT_EQ(child.wait(), ExitStatus::exited(0));
    EXPECT_TRUE(std::filesystem::equivalent(answer_of(child.stage()), elsewhere)) << answer_of(child.stage());
}

TEST_P(OsLaunch, MissingDirectoryIsAnErrorAtStart) {
    EXPECT_THROW(TestChild(GetParam(), "tells_directory", {.cwd = "no-such-directory"}), std::system_error);
}

TEST(OsLaunchErrors, MissingExecutableIsAnErrorAtStart) {
    const std::size_t before = open_handle_count();
    const auto missing = std::filesystem::temp_directory_path() / "multiproc-no-such-program";
    for (int i = 0; i < 3; ++i) {
        EXPECT_THROW(TestChild(StartMethod::spawn, "waits", {.executable = missing.string()}), std::system_error);
    }
    EXPECT_LE(open_handle_count(), before + 8);  // what the first start creates for all later ones
    const std::size_t settled = open_handle_count();
    for (int i = 0; i < 20; ++i) {
        EXPECT_THROW(TestChild(StartMethod::spawn, "waits", {.executable = missing.string()}), std::system_error);
    }
    EXPECT_EQ(open_handle_count(), settled);
}

TEST(OsLaunchErrors, AMethodThatThePlatformLacksIsInvalid) {
    EXPECT_THROW(TestChild(StartMethod::automatic, "waits"), std::invalid_argument);
}

TEST_P(OsLaunch, HandlesDoNotLeakOverManyStarts) {
    const auto start_one = [&] {
        TestChild child(GetParam(), "exits_with_given_code", {.text = "0"});
        ASSERT_EQ(child.wait(), ExitStatus::exited(0));
    };
    start_one();  // creates what is there once
    const std::size_t before = open_handle_count();
    for (int i = 0; i < 100; ++i) ASSERT_NO_FATAL_FAILURE(start_one());
    // The watching thread gives up its share of a child's handle just after it reported the end.
    const Deadline deadline = Clock::now() + patience;
    while (open_handle_count() > before && Clock::now() < deadline) std::this_thread::yield();
    EXPECT_LE(open_handle_count(), before);
}

OS_CHILD(counts_handles) {
    args.stage.words[0] = open_handle_count();
    args.stage.words[1] = 1;
    wait_for_the_end();
}

TEST_P(OsLaunch, HandlesOfAChildDoNotGrowWithItsSiblings) {
    std::vector<std::unique_ptr<TestChild>> children;
    for (int i = 0; i < 12; ++i) {
        children.push_back(std::make_unique<TestChild>(GetParam(), "counts_handles"));
        ASSERT_TRUE(await_word(children.back()->stage().words[1], 1));
    }
    // A system may open a handle or two of its own at any time (Windows does); ten siblings more would show as ten.
    for (std::size_t i = 2; i < children.size(); ++i) EXPECT_LE(children[i]->word(0), children[1]->word(0) + 2) << i;
}

OS_CHILD(writes_into_handles) {
    for (Handle& handle : args.handles) {
        Segment segment = Segment::adopt(std::move(handle), 4096);
        segment.data()[100] = static_cast<std::byte>(1 + static_cast<int>(segment.data()[0]));
    }
    return static_cast<std::uint32_t>(args.handles.size());
}

TEST_P(OsLaunch, HandlesArriveInOrder) {
    std::vector<Segment> segments;
    StartOptions options;
    for (int i = 0; i < 40; ++i) {
        segments.push_back(Segment::create(4096));
        segments.back().data()[0] = static_cast<std::byte>(i);
        options.handles.push_back(segments.back().handle());
    }
    TestChild child(GetParam(), "writes_into_handles", options);
    ASSERT_EQ(child.wait(), ExitStatus::exited(40));
    for (int i = 0; i < 40; ++i) EXPECT_EQ(segments[static_cast<std::size_t>(i)].data()[100], std::byte(i + 1));
}

TEST_P(OsLaunch, EndIsReportedWhenTheChildObjectIsGone) {
    TestChild child(GetParam(), "exits_with_given_code", {.text = "5"});
    child.forget();
    EXPECT_EQ(child.wait(), ExitStatus::exited(5));
}

OS_CHILD(starts_the_rest) {
    const std::string text = text_of(args.stage);  // the method and the depth that is left: "spawn 2"
    const std::size_t space = text.find(' ');
    const unsigned long depth = std::stoul(text.substr(space));
    if (depth == 0) return 7;
    for (const StartMethod method : start_methods()) {
        if (name_of(method) != text.substr(0, space)) continue;
        TestChild child(method, "starts_the_rest", {.text = name_of(method) + " " + std::to_string(depth - 1)});
        const auto status = child.wait();
        return status ? status->number() : 1;
    }
    return 2;
}

TEST_P(OsLaunch, ChildrenStartChildren) {
    TestChild child(GetParam(), "starts_the_rest", {.text = name_of(GetParam()) + " 3"});
    EXPECT_EQ(child.wait(), ExitStatus::exited(7));
}

TEST_P(OsLaunch, ManyQuickStarts) {
    const int rounds = GetParam() == StartMethod::spawn ? 10 : 50;  // a whole program start takes its time
    constexpr int at_once = 20;
    for (int round = 0; round < rounds; ++round) {
        std::vector<std::unique_ptr<TestChild>> children;
        for (int i = 0; i < at_once; ++i) {
            children.push_back(std::make_unique<TestChild>(GetParam(), "exits_with_given_code",
                                                           StartOptions{.text = std::to_string(i)}));
        }
        for (int i = 0; i < at_once; ++i) {
            auto& child = *children[static_cast<std::size_t>(i)];
            ASSERT_EQ(child.wait(), ExitStatus::exited(static_cast<std::uint32_t>(i))) << "round " << round;
            ASSERT_EQ(child.exits(), 1);
        }
    }
}

TEST_P(OsLaunch, SeveralThreadsStartAtOnce) {
    std::atomic<int> right{0};
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; ++thread) {
        threads.emplace_back([&, thread] {
            for (int i = 0; i < 10; ++i) {
                const auto code = static_cast<std::uint32_t>(10 * thread + i);
                TestChild child(GetParam(), "exits_with_given_code", {.text = std::to_string(code)});
                if (child.wait() == ExitStatus::exited(code)) ++right;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(right, 40);
}

OS_CHILD(has_a_child_that_has_a_child) {
    const std::string text = text_of(args.stage);
    args.stage.words[0] = current_pid();
    if (text == "last") {
        args.stage.words[1] = 1;
        wait_for_the_end();
    }
    for (const StartMethod method : start_methods()) {
        if (text.rfind(name_of(method), 0) != 0) continue;
        const bool middle = text.find(' ') != std::string::npos;
        TestChild child(method, "has_a_child_that_has_a_child",
                        {.text = middle ? "last" : name_of(method) + " middle"});
        if (!await_word(child.stage().words[1], 1)) return 1;
        args.stage.words[2] = child.word(0);
        args.stage.words[3] = child.word(2);
        args.stage.words[1] = 1;
        wait_for_the_end();
    }
    return 2;
}

TEST_P(OsLaunch, ChildAndGrandchildDieWithTheirParentWhenItIsKilled) {
    TestChild child(GetParam(), "has_a_child_that_has_a_child", {.text = name_of(GetParam())});
    ASSERT_TRUE(await_word(child.stage().words[1], 1));
    ProcessWatch grandchild(static_cast<std::uint32_t>(child.word(2)));
    ProcessWatch great_grandchild(static_cast<std::uint32_t>(child.word(3)));
    child.process().signal(Signal::kill);
    EXPECT_EQ(child.wait(), ExitStatus::signalled(sigkill_number));
    EXPECT_TRUE(grandchild.await_end());
    EXPECT_TRUE(great_grandchild.await_end());
}

TEST_P(OsLaunch, LaunchingWorksAgainAfterItWasShutDown) {
    {
        TestChild child(GetParam(), "exits_with_given_code", {.text = "0"});
        EXPECT_EQ(child.wait(), ExitStatus::exited(0));
    }
    shut_down_launching();
    TestChild child(GetParam(), "exits_with_given_code", {.text = "4"});
    EXPECT_EQ(child.wait(), ExitStatus::exited(4));
}

static_assert(sigint_number == SIGINT && sigterm_number == SIGTERM);

}  // namespace
}  // namespace multiproc::os::test
