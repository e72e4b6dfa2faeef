// Ctrl+C in a terminal reaches the program and all its workers at once.
#include <signal.h>

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

class PoolInterrupt : public mp::test::EachStartMethod {};

TEST_F(PoolInterrupt, CtrlCDuringMapEndsTheProgramQuietlyAndLeavesNoWorker) {
    const mp::test::Gate never;
    mp::test::Program program(mp::test::program_path("pool_program"), {.args = {"map_for_ever", never.path()}});
    std::vector<std::uint32_t> workers;
    for (std::string line = program.read_line(); !line.empty() && line.rfind("ready", 0) != 0;
         line = program.read_line())
        workers.push_back(static_cast<std::uint32_t>(std::stoul(line)));
    ASSERT_EQ(workers.size(), 2u);
    for (const std::uint32_t pid : workers) ::kill(static_cast<pid_t>(pid), SIGINT);
    ::kill(static_cast<pid_t>(program.pid()), SIGINT);
    const mp::test::ProgramResult result = program.finish();
    EXPECT_EQ(result.status, mp::ExitStatus::signalled(SIGINT));
    EXPECT_EQ(result.err, "");
    for (const std::uint32_t pid : workers)
        EXPECT_TRUE(mp::test::holds_soon([pid] { return !mp::test::is_running(pid); }))
            << "worker " << pid << " survived";
}

TEST_F(PoolInterrupt, WorkersIgnoreCtrlCAndFinishTheirTasks) {
    mp::Pool pool(2);
    const mp::test::Gate gate;
    const mp::AsyncResult<int> task = pool.apply_async(mp::test::pass_gate, gate.path(), 4);
    pool.apply([](int x) { return x; }, 1);
    for (const std::uint32_t pid : pool.worker_pids()) ::kill(static_cast<pid_t>(pid), SIGINT);
    gate.open();
    EXPECT_EQ(task.get(), 4);
}

}  // namespace
