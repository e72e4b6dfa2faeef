// Workers come and go: by resize, and on demand.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <utility>
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

using Begun = std::pair<int, std::uint32_t>;  // a task, and the process that it runs in

int say_and_pass_gate(mp::Queue<Begun> begun, const std::string& path, int number) {
    begun.put({number, mp::current_process().pid});
    std::this_thread::sleep_for(3ms);  // long enough that no worker gets two of them at once
    return mp::test::Gate::await(path) ? number : -1;
}

// Single tasks that wait together travel as one message and may be shared out. What comes back of it is its midst, and is
// not where a new task can follow.
TEST_F(PoolResize, WhatIsSubmittedBehindATaskThatALeavingWorkerGaveBackIsRunOnce) {
    mp::Pool pool(2);
    const mp::Queue<Begun> begun;
    std::array<mp::test::Gate, 8> gates;
    std::vector<mp::AsyncResult<int>> results;
    std::map<int, std::uint32_t> where;
    std::vector<int> order;
    const auto submit = [&](int number) {
        results.push_back(
            pool.apply_async(say_and_pass_gate, begun, gates[static_cast<std::size_t>(number)].path(), number));
    };
    const auto await_begin = [&] {
        const Begun next = begun.get(true, 60s);
        where[next.first] = next.second;
        order.push_back(next.first);
        return next.first;
    };
    const auto finish = [&](int number) {
        gates[static_cast<std::size_t>(number)].open();
        EXPECT_EQ(results[static_cast<std::size_t>(number)].get(), number);
    };
    submit(0);
    submit(1);
    await_begin();
    await_begin();
    const int leaving = where[0] == pool.worker_pids().front() ? 0 : 1;
    for (int i = 2; i < 7; ++i) submit(i);  // one more for each worker, and three that wait together
    finish(1 - leaving);                    // whose worker takes the first of the three ahead
    const int second = await_begin();
    finish(leaving);  // and this one the next
    await_begin();
    finish(second);  // and that one the last
    await_begin();
    pool.resize(1);
    submit(7);
    for (const auto& gate : gates) gate.open();
    for (int i = 0; i < 8; ++i) EXPECT_EQ(results[static_cast<std::size_t>(i)].get_for(60s), i);
    while (order.size() < 8) await_begin();
    std::ranges::sort(order);
    EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}));
    EXPECT_TRUE(begun.empty());
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
