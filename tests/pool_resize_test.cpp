// Workers come and go: by resize, and on demand.
#include <algorithm>
#include <chrono>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"
#include "support/gate.hpp"

namespace {

namespace mp = multiproc;
using namespace std::chrono_literals;

class PoolResize : public mp::test::EachStartMethod {
protected:
    static bool has(mp::Pool& pool, std::size_t workers) {
        return mp::test::holds_soon([&] { return pool.worker_pids().size() == workers; });
    }
};

int twice(int x) { return 2 * x; }

TEST_F(PoolResize, AGrownPoolHasMoreWorkers) {
    allow_sleepers(8);
    mp::Pool pool(1);
    EXPECT_EQ(pool.apply(twice, 1), 2);
    pool.resize(4);
    EXPECT_EQ(pool.workers(), 4U);
    EXPECT_TRUE(has(pool, 4));
    // All of them work: each holds one task at the gate.
    const mp::test::Gate gate;
    std::vector<mp::AsyncResult<int>> results;
    for (int i = 0; i < 4; ++i) results.push_back(pool.apply_async(mp::test::pass_gate, gate.path(), i));
    gate.open();
    for (int i = 0; i < 4; ++i) EXPECT_EQ(results[static_cast<std::size_t>(i)].get(), i);
}

TEST_F(PoolResize, AShrunkPoolLosesWorkersAndNoTask) {
    allow_sleepers(8);
    mp::Pool pool(4);
    const mp::test::Gate gate;
    std::vector<mp::AsyncResult<int>> results;
    for (int i = 0; i < 20; ++i) results.push_back(pool.apply_async(mp::test::pass_gate, gate.path(), i));
    pool.resize(1);
    EXPECT_EQ(pool.workers(), 1U);
    gate.open();
    for (int i = 0; i < 20; ++i) EXPECT_EQ(results[static_cast<std::size_t>(i)].get(), i);
    EXPECT_TRUE(has(pool, 1));
    EXPECT_EQ(pool.map(twice, std::vector<int>{1, 2, 3}), (std::vector<int>{2, 4, 6}));
}

TEST_F(PoolResize, BeforeTheStartItOnlyChangesTheNumber) {
    mp::Pool pool(3);
    pool.resize(2);
    pool.start();
    EXPECT_EQ(pool.worker_pids().size(), 2U);
}

TEST_F(PoolResize, ToNothingIsRefused) {
    mp::Pool pool(1);
    EXPECT_THROW(pool.resize(0), std::invalid_argument);
    EXPECT_THROW(pool.resize(-1), std::invalid_argument);
    EXPECT_THROW(pool.resize(1'000'000), std::invalid_argument);
    pool.close();
    EXPECT_THROW(pool.resize(2), mp::ClosedError);
}

TEST_F(PoolResize, IdleWorkersEndAndComeBackOnDemand) {
    allow_sleepers(8);
    mp::Pool pool({.workers = 3, .idle_timeout = 20ms});
    EXPECT_EQ(pool.apply(twice, 1), 2);
    EXPECT_TRUE(has(pool, 0));
    for (int round = 0; round < 3; ++round) {
        EXPECT_EQ(pool.map(twice, std::vector<int>{1, 2, 3}), (std::vector<int>{2, 4, 6}));
        EXPECT_TRUE(has(pool, 0));
    }
}

TEST_F(PoolResize, OnDemandAllWorkersStartWhenTasksAreWaiting) {
    allow_sleepers(8);
    mp::Pool pool({.workers = 3, .idle_timeout = 10min});
    EXPECT_EQ(pool.apply(twice, 1), 2);
    EXPECT_EQ(pool.worker_pids().size(), 1U);
    const mp::test::Gate gate;
    std::vector<mp::AsyncResult<int>> results;
    for (int i = 0; i < 12; ++i) results.push_back(pool.apply_async(mp::test::pass_gate, gate.path(), i));
    EXPECT_TRUE(has(pool, 3));
    gate.open();
    for (int i = 0; i < 12; ++i) EXPECT_EQ(results[static_cast<std::size_t>(i)].get(), i);
    EXPECT_THROW(mp::Pool({.idle_timeout = -1ms}), std::invalid_argument);
}

}  // namespace
