// A pool from its start to its end: options, close, terminate, join, destruction.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <ranges>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "support/die.hpp"
#include "support/each_start_method.hpp"
#include "support/gate.hpp"

namespace {

namespace mp = multiproc;
using namespace std::chrono_literals;

class PoolLifecycle : public mp::test::EachStartMethod {};

int twice(int number) { return 2 * number; }
std::uint32_t own_pid() { return mp::current_process().pid; }

// ---- options ----

TEST_F(PoolLifecycle, ZeroAndNegativeWorkersAreRefused) {
    EXPECT_THROW(mp::Pool(-1), std::invalid_argument);
    EXPECT_THROW(mp::Pool({.workers = -3}), std::invalid_argument);
    EXPECT_THROW(mp::Pool({.workers = 1'000'000}), std::invalid_argument);
    EXPECT_THROW(mp::Pool({.workers = 1, .max_tasks_per_worker = -1}), std::invalid_argument);
    mp::Pool pool(1);
    EXPECT_THROW(pool.map(twice, std::vector<int>{1}, -1), std::invalid_argument);
}

TEST_F(PoolLifecycle, AStartMethodThatThePlatformLacksIsRefusedByName) {
    const std::vector<mp::StartMethod> have = mp::get_all_start_methods();
    for (const auto method : {mp::StartMethod::forkserver, mp::StartMethod::spawn, mp::StartMethod::fork}) {
        if (std::ranges::find(have, method) != have.end()) continue;
        try {
            mp::Pool pool({.workers = 1, .start_method = method});
            FAIL() << "it was accepted";
        } catch (const std::invalid_argument& error) {
            EXPECT_NE(std::string(error.what()).find(to_string(have.front())), std::string::npos) << error.what();
        }
    }
    EXPECT_THROW(mp::start_method_from("telepathy"), std::invalid_argument);
}

TEST_F(PoolLifecycle, HasOneWorkerPerProcessorUnlessToldOtherwise) {
    mp::Pool pool;
    EXPECT_EQ(pool.workers(), mp::cpu_count());
    pool.start();
    EXPECT_EQ(pool.worker_pids().size(), mp::cpu_count());
}

TEST_F(PoolLifecycle, TheConstructorStartsNothing) {
    // Less is no matter: what was there before may be closed a moment after it was reported to be over.
    const std::size_t handles = mp::test::open_handles();
    mp::Pool pool(3);
    EXPECT_TRUE(pool.worker_pids().empty());
    EXPECT_LE(mp::test::open_handles(), handles);
    EXPECT_EQ(pool.apply(twice, 4), 8);
    EXPECT_EQ(pool.worker_pids().size(), 3u);
}

int initialised_with = 0;
void initialise(int value) { initialised_with = value; }
int what_was_initialised(int) { return initialised_with; }

TEST_F(PoolLifecycle, TheInitializerRunsInEveryWorkerBeforeItsFirstTask) {
    mp::Pool pool({.workers = 3, .initializer = mp::partial(initialise, 77)});
    EXPECT_EQ(pool.map(what_was_initialised, std::views::iota(0, 100), 1), std::vector<int>(100, 77));
    EXPECT_EQ(initialised_with, 0);
    mp::test::kill_process(pool.worker_pids().front());
    EXPECT_EQ(pool.map(what_was_initialised, std::views::iota(0, 100), 1), std::vector<int>(100, 77));
}

void throw_in_initializer() { throw std::runtime_error("no such database"); }
void die_in_initializer() { mp::test::die(mp::test::Death::quick_exit); }

TEST_F(PoolLifecycle, AnInitializerThatThrowsBreaksThePoolForPendingAndNewTasks) {
    mp::Pool pool({.workers = 2, .initializer = throw_in_initializer});
    const mp::AsyncResult<int> pending = pool.apply_async(twice, 1);
    try {
        pending.get();
        FAIL() << "nothing was thrown";
    } catch (const mp::BrokenPool& error) {
        EXPECT_NE(std::string(error.what()).find("no such database"), std::string::npos) << error.what();
    }
    EXPECT_THROW(pool.apply(twice, 1), mp::BrokenPool);
    EXPECT_THROW(pool.map(twice, std::vector<int>{1}), mp::BrokenPool);
    pool.close();
    pool.join();
    EXPECT_TRUE(pool.worker_pids().empty());
}

TEST_F(PoolLifecycle, AnInitializerThatDiesBreaksThePoolWithoutEndlessRespawn) {
    mp::Pool pool({.workers = 2, .initializer = die_in_initializer});
    EXPECT_THROW(pool.apply(twice, 1), mp::BrokenPool);
    EXPECT_THROW(pool.apply(twice, 1), mp::BrokenPool);
}

TEST_F(PoolLifecycle, MaxTasksPerWorkerReplacesWorkersAndKeepsTheSize) {
    mp::Pool pool({.workers = 2, .max_tasks_per_worker = 5});
    const std::vector<std::uint32_t> pids = pool.map([](int) { return own_pid(); }, std::views::iota(0, 60), 1);
    std::map<std::uint32_t, int> tasks;
    for (const std::uint32_t pid : pids) ++tasks[pid];
    EXPECT_GE(tasks.size(), 12u);
    for (const auto& [pid, count] : tasks) EXPECT_LE(count, 5) << "worker " << pid;
    EXPECT_TRUE(mp::test::holds_soon([&] { return pool.worker_pids().size() == 2; }));
    pool.close();
    pool.join();
}

TEST_F(PoolLifecycle, MaxTasksPerWorkerHoldsInsideChunksAndDoesNotCountTheInitializer) {
    mp::Pool pool({.workers = 2, .initializer = mp::partial(initialise, 1), .max_tasks_per_worker = 3});
    const std::vector<std::uint32_t> pids = pool.map([](int) { return own_pid(); }, std::views::iota(0, 30), 10);
    std::map<std::uint32_t, int> tasks;
    for (const std::uint32_t pid : pids) ++tasks[pid];
    EXPECT_EQ(tasks.size(), 10u);
    for (const auto& [pid, count] : tasks) EXPECT_EQ(count, 3) << "worker " << pid;
}

TEST_F(PoolLifecycle, AFinalizerAndAtWorkerExitRunWhenAWorkerLeavesInGoodOrder) {
    const mp::test::Gate finalized, left;
    {
        mp::Pool pool({.workers = 1, .finalizer = mp::partial(mp::test::open_gate, finalized.path())});
        pool.apply([](std::string path) { mp::at_worker_exit([path] { mp::test::open_gate(path); }); }, left.path());
        EXPECT_FALSE(finalized.is_open());
        pool.close();
        pool.join();
    }
    EXPECT_TRUE(finalized.is_open());
    EXPECT_TRUE(left.is_open());
}

TEST_F(PoolLifecycle, WorkersBearThePoolsName) {
    mp::Pool pool({.workers = 1, .name = "Decoder"});
    EXPECT_EQ(pool.apply([] { return mp::current_process().name; }), "Decoder-1");
    EXPECT_EQ(pool.apply([] { return mp::parent_process().name; }), "MainProcess");
    EXPECT_EQ(pool.apply([] { return mp::parent_process().pid; }), mp::current_process().pid);
    EXPECT_TRUE(pool.apply([] { return mp::current_process().daemon; }));
}

// ---- the end ----

TEST_F(PoolLifecycle, CloseFinishesWhatIsThereAndTakesNoMore) {
    mp::Pool pool(2);
    std::vector<mp::AsyncResult<int>> results;
    for (int i = 0; i < 200; ++i) results.push_back(pool.apply_async(twice, i));
    pool.close();
    pool.close();
    EXPECT_THROW(pool.apply(twice, 1), mp::ClosedError);
    EXPECT_THROW(pool.map_async(twice, std::vector<int>{1}), mp::ClosedError);
    EXPECT_THROW(pool.start(), mp::ClosedError);
    pool.join();
    pool.join();
    for (int i = 0; i < 200; ++i) EXPECT_EQ(results[static_cast<std::size_t>(i)].get(), 2 * i);
}

TEST_F(PoolLifecycle, CloseAndJoinWithNothingPendingReturn) {
    mp::Pool never_started(2);
    never_started.close();
    never_started.join();
    mp::Pool idle(2);
    idle.start();
    idle.close();
    idle.join();
    EXPECT_TRUE(idle.worker_pids().empty());
}

TEST_F(PoolLifecycle, JoinBeforeCloseIsAnError) {
    mp::Pool pool(1);
    EXPECT_THROW(pool.join(), std::logic_error);
    pool.start();
    EXPECT_THROW(pool.join(), std::logic_error);
    EXPECT_EQ(pool.apply(twice, 2), 4);
}

TEST_F(PoolLifecycle, TerminateWithTenThousandPendingLongTasksEndsThemAll) {
    const mp::test::Gate never;
    mp::Pool pool(2);
    std::vector<mp::AsyncResult<int>> results;
    for (int i = 0; i < 10'000; ++i) results.push_back(pool.apply_async(mp::test::pass_gate, never.path(), i));
    pool.terminate();
    EXPECT_TRUE(pool.worker_pids().empty());
    for (const auto& result : results) {
        ASSERT_TRUE(result.ready());
        EXPECT_THROW(result.get(), mp::ClosedError);
    }
    EXPECT_THROW(pool.apply(twice, 1), mp::ClosedError);
    pool.terminate();
    pool.join();
}

TEST_F(PoolLifecycle, DestructionWhileOthersWaitGivesThemAnError) {
    const mp::test::Gate never;
    auto pool = std::make_unique<mp::Pool>(2);
    std::vector<mp::AsyncResult<int>> results;
    for (int i = 0; i < 4; ++i) results.push_back(pool->apply_async(mp::test::pass_gate, never.path(), i));
    std::atomic<int> errors = 0;
    std::vector<std::thread> waiting;
    for (int i = 0; i < 4; ++i) {
        waiting.emplace_back([&results, &errors, i] {
            try {
                results[static_cast<std::size_t>(i)].get();
            } catch (const mp::ClosedError&) { ++errors; }
        });
    }
    pool.reset();
    for (std::thread& thread : waiting) thread.join();
    EXPECT_EQ(errors, 4);
}

TEST_F(PoolLifecycle, APoolCanBeMoved) {
    mp::Pool first(1);
    EXPECT_EQ(first.apply(twice, 1), 2);
    mp::Pool second = std::move(first);
    EXPECT_EQ(second.apply(twice, 2), 4);
    EXPECT_THROW(first.apply(twice, 1), mp::ClosedError);  // NOLINT(bugprone-use-after-move)
    first = mp::Pool(1);
    EXPECT_EQ(first.apply(twice, 3), 6);
}

TEST_F(PoolLifecycle, AHundredPoolsInARowLeaveNothing) {
    for (int i = 0; i < 100; ++i) {
        mp::Pool pool(2);
        EXPECT_EQ(pool.apply(twice, i), 2 * i);
        if (i % 2 == 0) {
            pool.close();
            pool.join();
        }
    }
}

TEST_F(PoolLifecycle, TwoHundredWorkersWork) {
    allow_sleepers(200);
    mp::Pool pool(200);
    const std::vector<std::uint32_t> pids = pool.map([](int) { return own_pid(); }, std::views::iota(0, 2000), 1);
    EXPECT_EQ(pids.size(), 2000u);
    EXPECT_EQ(pool.worker_pids().size(), 200u);
    pool.close();
    pool.join();
}

TEST_F(PoolLifecycle, APoolInsideATaskOfAPoolWorks) {
    mp::Pool pool(2);
    const auto nested = [](int n) {
        mp::Pool inner(2);
        int sum = 0;
        for (const int x : inner.map(twice, std::views::iota(0, n))) sum += x;
        return sum;
    };
    EXPECT_EQ(pool.map(nested, std::vector<int>{3, 4}), (std::vector<int>{6, 12}));
}

}  // namespace
