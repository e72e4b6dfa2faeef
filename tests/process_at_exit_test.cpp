// What becomes of children when their program ends, in good order or not.
#include <chrono>
#include <string>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"
#include "support/environment.hpp"
#include "support/run_program.hpp"

namespace {

namespace mp = multiproc;
namespace test = mp::test;

class ProcessAtExit : public test::EachStartMethod {
protected:
    static test::ProgramOptions options(const std::string& mode) {
        return {{mode, std::string(to_string(mp::get_start_method()))}, {}};
    }
    static test::ProgramResult run(const std::string& mode) {
        test::ProgramResult result = test::run_program(test::program_path("exit_program"), options(mode));
        EXPECT_FALSE(result.timed_out);
        EXPECT_EQ(result.err, "");
        result.out = test::without_returns(result.out);
        return result;
    }
};

TEST_F(ProcessAtExit, a_child_that_is_no_daemon_is_joined) {
    const test::ProgramResult result = run("joins");
    EXPECT_EQ(result.out, "main done\nchild done\n");
    EXPECT_EQ(result.status, mp::ExitStatus::exited(0));
}

TEST_F(ProcessAtExit, exit_joins_as_the_end_of_main_does) {
    const test::ProgramResult result = run("joins_at_exit");
    EXPECT_EQ(result.out, "main done\nchild done\n");
    EXPECT_EQ(result.status, mp::ExitStatus::exited(5));
}

TEST_F(ProcessAtExit, daemonic_children_are_terminated) {
    const test::ProgramResult result = run("terminates_daemons");
    EXPECT_EQ(result.out, "main done\n");
    EXPECT_EQ(result.status, mp::ExitStatus::exited(0));
}

TEST_F(ProcessAtExit, daemons_are_terminated_while_others_are_joined) {
    const test::ProgramResult result = run("both");
    EXPECT_EQ(result.out, "main done\nchild done\n");
    EXPECT_EQ(result.status, mp::ExitStatus::exited(0));
}

TEST_F(ProcessAtExit, a_process_in_a_static_object_is_joined) {
    const test::ProgramResult result = run("static");
    EXPECT_EQ(result.out, "main done\nchild done\n");
    EXPECT_EQ(result.status, mp::ExitStatus::exited(0));
}

// finish() returns when whoever holds the program's streams is gone.
TEST_F(ProcessAtExit, children_end_with_a_program_that_left_without_a_word) {
    const test::ProgramResult result = run("quick");
    EXPECT_EQ(result.out, "main done\n");
    EXPECT_EQ(result.status, mp::ExitStatus::exited(6));
}

TEST_F(ProcessAtExit, the_whole_family_ends_with_a_program_that_was_killed) {
    test::Program program(test::program_path("exit_program"), options("family"));
    std::vector<std::uint32_t> pids;
    for (int i = 0; i < 3; ++i) {
        const std::string line = program.read_line();
        ASSERT_FALSE(line.empty()) << "generation " << i;
        pids.push_back(static_cast<std::uint32_t>(std::stoul(line)));
    }
    for (const std::uint32_t pid : pids) EXPECT_TRUE(test::is_running(pid));
    program.kill();
    const test::ProgramResult result = program.finish();
    EXPECT_FALSE(result.timed_out) << "somebody still holds its streams";
    for (const std::uint32_t pid : pids)
        EXPECT_TRUE(test::holds_soon([pid] { return !test::is_running(pid); })) << pid << " lives on";
}

}  // namespace
