// The end of a program that has a pool, however it comes: no hang, no survivor.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"
#include "support/gate.hpp"
#include "support/leftovers.hpp"
#include "support/run_program.hpp"

namespace {

namespace mp = multiproc;

class PoolExit : public mp::test::EachStartMethod {
protected:
    // The pids that the program prints up to "ready".
    static std::vector<std::uint32_t> read_workers(mp::test::Program& program) {
        std::vector<std::uint32_t> pids;
        for (std::string line = program.read_line(); !line.empty() && line.rfind("ready", 0) != 0;
             line = program.read_line())
            pids.push_back(static_cast<std::uint32_t>(std::stoul(line)));
        return pids;
    }
    static void expect_gone(const std::vector<std::uint32_t>& pids) {
        EXPECT_FALSE(pids.empty());
        for (const std::uint32_t pid : pids)
            EXPECT_TRUE(mp::test::holds_soon([pid] { return !mp::test::is_running(pid); }))
                << "worker " << pid << " survived";
    }
};

TEST_F(PoolExit, PoolsInStaticObjectsEndWithTheProgram) {
    mp::test::Program program(mp::test::program_path("pool_program"), {.args = {"static"}});
    std::vector<std::uint32_t> workers = read_workers(program);
    for (const std::uint32_t pid : read_workers(program)) workers.push_back(pid);
    EXPECT_EQ(workers.size(), 4u);
    const mp::test::ProgramResult result = program.finish();
    EXPECT_TRUE(result.status.success()) << to_string(result.status) << result.err;
    EXPECT_EQ(result.err, "");
    expect_gone(workers);
}

TEST_F(PoolExit, APoolThatIsNeverClosedDoesNotHoldUpTheProgramsEnd) {
    mp::test::Program program(mp::test::program_path("pool_program"), {.args = {"leaked"}});
    const std::vector<std::uint32_t> workers = read_workers(program);
    const mp::test::ProgramResult result = program.finish();
    EXPECT_TRUE(result.status.success()) << to_string(result.status) << result.err;
    EXPECT_EQ(result.err, "");
    expect_gone(workers);
}

TEST_F(PoolExit, ExitWithRunningTasksEndsThem) {
    const mp::test::Gate never;
    mp::test::Program program(mp::test::program_path("pool_program"), {.args = {"exit_with_tasks", never.path()}});
    const std::vector<std::uint32_t> workers = read_workers(program);
    const mp::test::ProgramResult result = program.finish();
    EXPECT_EQ(result.status, mp::ExitStatus::exited(3)) << result.err;
    EXPECT_EQ(result.err, "");
    expect_gone(workers);
}

TEST_F(PoolExit, NoWorkerSurvivesAParentThatIsKilled) {
    const mp::test::Gate never;
    mp::test::Program program(mp::test::program_path("pool_program"), {.args = {"map_for_ever", never.path()}});
    const std::vector<std::uint32_t> workers = read_workers(program);
    program.kill();
    program.finish();
    expect_gone(workers);
}

}  // namespace
