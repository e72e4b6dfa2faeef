// Programs that forget freeze_support(), call it late, or under a condition: a clear error in bounded time, never a
// cascade of processes, and nothing of it on stdout.
#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"
#include "support/environment.hpp"
#include "support/run_program.hpp"
#include "support/temporary.hpp"

namespace {

namespace mp = multiproc;
namespace test = mp::test;
using namespace std::chrono_literals;

class Reentry : public test::EachStartMethod {
protected:
    // Runs the program in `mode` under the method of this test, and counts how often main was entered.
    test::ProgramResult run(const std::string& mode, std::vector<std::string> env = {}) {
        const test::TemporaryDirectory directory;
        const std::string log = directory.file("log");
        test::write_file(log, "");
        env.push_back("REENTRY_MODE=" + mode);
        env.push_back("REENTRY_METHOD=" + std::string(to_string(mp::get_start_method())));
        env.push_back("REENTRY_LOG=" + log);
        test::ProgramResult result = test::run_program(test::program_path("reentry_program"), {{"parent"}, env});
        EXPECT_FALSE(result.timed_out);
        result.out = test::without_returns(result.out);
        const std::string entered = test::read_file(log);
        entries_ = std::ranges::count(entered, '\n');
        return result;
    }

    bool is_fork() const { return mp::get_start_method() == mp::StartMethod::fork; }
    std::ptrdiff_t entries() const { return entries_; }

private:
    std::ptrdiff_t entries_ = 0;
};

void expect_advice(const std::string& text) {
    EXPECT_NE(text.find("freeze_support()"), std::string::npos) << text;
    EXPECT_NE(text.find("first line of main()"), std::string::npos) << text;
}

TEST_F(Reentry, forgotten_freeze_support_is_a_clear_error_in_the_parent) {
    const test::ProgramResult result = run("forgotten");
    EXPECT_EQ(result.status, mp::ExitStatus::exited(0));
    EXPECT_EQ(result.out, "BootstrapError\nBootstrapError\n");
    expect_advice(result.err);
    EXPECT_EQ(entries(), 1) << "nothing was started";
}

TEST_F(Reentry, before_freeze_support_nothing_starts_and_after_it_everything_does) {
    const test::ProgramResult result = run("late");
    EXPECT_EQ(result.out, "BootstrapError\nresult 42\n") << result.err;
    EXPECT_EQ(result.status, mp::ExitStatus::exited(0));
}

TEST_F(Reentry, a_second_call_does_nothing) {
    const test::ProgramResult result = run("twice");
    EXPECT_EQ(result.out, "result 42\n") << result.err;
}

TEST_F(Reentry, what_main_prints_before_freeze_support_shows_up_once) {
    const test::ProgramResult result = run("good");
    EXPECT_EQ(result.out, "before freeze_support\nresult 42\nresult 42\n") << result.err;
    EXPECT_EQ(result.err, "");
}

TEST_F(Reentry, a_child_whose_main_leaves_without_it_ends_with_a_message) {
    const test::ProgramResult result = run("exits");
    if (is_fork()) {
        EXPECT_EQ(result.out, "result 42\n") << "a forked child enters no main";
        return;
    }
    EXPECT_TRUE(result.out == "BootstrapError\n" || result.out == "StartError\n") << result.out;
    EXPECT_NE(result.err.find("did not call multiproc::freeze_support()"), std::string::npos) << result.err;
    expect_advice(result.err);
    EXPECT_EQ(entries(), 2);
}

TEST_F(Reentry, a_child_whose_main_never_comes_to_it_ends_in_bounded_time_with_a_message) {
    const test::ProgramResult result = run("never_returns", {"MULTIPROC_BOOTSTRAP_TIMEOUT=1"});
    if (is_fork()) {
        EXPECT_EQ(result.out, "result 42\n") << "a forked child enters no main";
        return;
    }
    EXPECT_TRUE(result.out == "BootstrapError\n" || result.out == "StartError\n") << result.out;
    EXPECT_NE(result.err.find("in time"), std::string::npos) << result.err;
    expect_advice(result.err);
    EXPECT_EQ(entries(), 2);
}

TEST_F(Reentry, a_child_that_starts_processes_instead_is_refused) {
    const test::ProgramResult result = run("cascades");
    if (is_fork()) {
        EXPECT_EQ(result.out, "result 42\n") << "a forked child enters no main";
        return;
    }
    EXPECT_TRUE(result.out == "BootstrapError\n" || result.out == "StartError\n") << result.out;
    EXPECT_NE(result.err.find("has not reached multiproc::freeze_support()"), std::string::npos) << result.err;
    expect_advice(result.err);
    EXPECT_EQ(entries(), 2) << "the program and one child";
}

TEST_F(Reentry, a_thread_started_before_main_makes_the_fork_server_step_aside_with_one_warning) {
    const test::ProgramResult result = run("early_thread");
    EXPECT_EQ(result.out, "before freeze_support\nresult 42\nresult 42\n") << result.err;
    if (mp::get_start_method() == mp::StartMethod::forkserver) {
        EXPECT_EQ(std::ranges::count(result.err, '\n'), 1) << result.err;
        EXPECT_NE(result.err.find("using the start method spawn"), std::string::npos) << result.err;
    } else {
        EXPECT_EQ(result.err, "");
    }
}

}  // namespace
