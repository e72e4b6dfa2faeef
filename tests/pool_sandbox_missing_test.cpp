// Where a build or system has no sandbox, a pool that is to have one says why and what to do, and starts nothing.
#include <string>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"

namespace {

namespace mp = multiproc;

class PoolSandboxMissing : public mp::test::EachStartMethod {};

int twice(int x) { return 2 * x; }

TEST_F(PoolSandboxMissing, IsAnErrorThatSaysWhatToDo) {
    EXPECT_FALSE(mp::sandbox_available());
    const std::string problem = mp::sandbox_problem();
    EXPECT_NE(problem.find("leave .sandbox out"), std::string::npos) << problem;
    mp::Pool pool({.workers = 1, .sandbox = mp::Sandbox::compute});
    for (int i = 0; i < 2; ++i) {
        try {
            pool.apply(twice, 1);
            ADD_FAILURE() << "it ran without a sandbox";
        } catch (const mp::StartError& error) {
            EXPECT_NE(std::string(error.what()).find(problem), std::string::npos) << error.what();
        }
    }
    EXPECT_TRUE(pool.worker_pids().empty());
}

}  // namespace
