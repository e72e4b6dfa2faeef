// apply_async and AsyncResult; errors as their own types; many threads and pools at once.
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"
#include "support/gate.hpp"

namespace {

namespace mp = multiproc;
using namespace std::chrono_literals;

class PoolAsync : public mp::test::EachStartMethod {};

int twice(int number) { return 2 * number; }
std::string greet(const std::string& name) { return "hello " + name; }
[[noreturn]] void throw_out_of_range() { throw std::out_of_range("no such element"); }
struct NotStandard {};
[[noreturn]] void throw_something_else() { throw NotStandard{}; }
std::unique_ptr<int> move_only(std::unique_ptr<int> value) {
    ++*value;
    return value;
}

TEST_F(PoolAsync, GetReturnsTheResultAsOftenAsOneLikes) {
    mp::Pool pool(2);
    const mp::AsyncResult<std::string> result = pool.apply_async(greet, "you");
    EXPECT_EQ(result.get(), "hello you");
    EXPECT_EQ(result.get(), "hello you");
    const mp::AsyncResult<std::string> copy = result;
    EXPECT_EQ(copy.get(), "hello you");
}

// A large argument lies in a segment of its own, where nothing else has room.
TEST_F(PoolAsync, SmallTasksMayWaitBehindALargeOneOfTheSameFunction) {
    mp::Pool pool(1);
    mp::test::Gate gate;
    const mp::AsyncResult<int> running = pool.apply_async(mp::test::pass_gate, gate.path(), 7);
    std::vector<mp::AsyncResult<std::string>> results;
    std::vector<std::string> expected;
    for (const std::size_t size : {200'000, 3, 0, 40'000, 5, 100'000, 1}) {
        const std::string name(size, static_cast<char>('a' + results.size()));
        results.push_back(pool.apply_async(greet, name));
        expected.push_back("hello " + name);
    }
    gate.open();
    EXPECT_EQ(running.get(), 7);
    for (std::size_t i = 0; i < results.size(); ++i) EXPECT_EQ(results[i].get(), expected[i]);
}

TEST_F(PoolAsync, ReadyWaitAndSuccessfulTellHowItStands) {
    mp::Pool pool(1);
    mp::test::Gate gate;
    const mp::AsyncResult<int> result = pool.apply_async(mp::test::pass_gate, gate.path(), 7);
    EXPECT_FALSE(result.ready());
    EXPECT_FALSE(result.wait_for(0s));
    EXPECT_FALSE(result.wait_for(-1s));
    EXPECT_FALSE(result.wait_for(1ms));
    EXPECT_THROW(result.successful(), std::logic_error);
    gate.open();
    EXPECT_TRUE(result.wait_for(std::chrono::hours::max()));  // more than 64 bits of nanoseconds
    EXPECT_TRUE(result.ready());
    EXPECT_TRUE(result.successful());
    EXPECT_EQ(result.get(), 7);

    const mp::AsyncResult<void> failed = pool.apply_async(throw_out_of_range);
    failed.wait();
    EXPECT_TRUE(failed.ready());
    EXPECT_FALSE(failed.successful());
}

TEST_F(PoolAsync, AResultThatWasMovedFromThrowsAtEveryUse) {
    mp::Pool pool(1);
    mp::AsyncResult<int> from = pool.apply_async([](int number) { return number; }, 1);
    const mp::AsyncResult<int> to = std::move(from);
    // NOLINTBEGIN(bugprone-use-after-move): what is promised
    EXPECT_THROW((void)from.get(), mp::ClosedError);
    EXPECT_THROW((void)from.get_for(1s), mp::ClosedError);
    EXPECT_THROW(from.wait(), mp::ClosedError);
    EXPECT_THROW((void)from.wait_for(1s), mp::ClosedError);
    EXPECT_THROW((void)from.ready(), mp::ClosedError);
    EXPECT_THROW((void)from.successful(), mp::ClosedError);
    EXPECT_THROW(from.cancel(), mp::ClosedError);
    EXPECT_THROW(from.then([] {}), mp::ClosedError);
    EXPECT_THROW((void)mp::wait(std::vector{from}), mp::ClosedError);
    const mp::AsyncResult<int> copy = from;
    EXPECT_THROW((void)copy.get(), mp::ClosedError);
    // NOLINTEND(bugprone-use-after-move)
    EXPECT_EQ(to.get(), 1);
}

TEST_F(PoolAsync, GetForThrowsOnTimeAndTheTaskGoesOn) {
    mp::Pool pool(1);
    mp::test::Gate gate;
    const mp::AsyncResult<int> result = pool.apply_async(mp::test::pass_gate, gate.path(), 5);
    EXPECT_THROW(result.get_for(20ms), mp::TimeoutError);
    EXPECT_THROW(result.get_for(std::chrono::hours::min()), mp::TimeoutError);
    EXPECT_THROW(result.get_for(0s), mp::TimeoutError);
    EXPECT_THROW(result.get_for(-5s), mp::TimeoutError);
    gate.open();
    EXPECT_EQ(result.get(), 5);
    EXPECT_EQ(result.get_for(0s), 5);
}

TEST_F(PoolAsync, AnErrorIsCaughtAsItsOwnTypeAsEachParentTypeAndAsRemoteError) {
    mp::Pool pool(1);
    const mp::AsyncResult<void> result = pool.apply_async(throw_out_of_range);
    EXPECT_THROW(result.get(), std::out_of_range);
    EXPECT_THROW(result.get(), std::logic_error);
    EXPECT_THROW(result.get(), std::exception);
    EXPECT_THROW(result.get(), mp::RemoteError);
    EXPECT_THROW(result.get(), mp::Remote<std::out_of_range>);
    try {
        result.get();
    } catch (const mp::RemoteError& error) {
        EXPECT_EQ(error.type_name(), "std::out_of_range");
        EXPECT_EQ(error.text(), "no such element");
        EXPECT_EQ(error.pid(), pool.worker_pids().at(0));
        EXPECT_NE(error.task(), "");
    }
    EXPECT_THROW(pool.apply(throw_something_else), std::runtime_error);
}

TEST_F(PoolAsync, MoveOnlyValuesTravel) {
    mp::Pool pool(1);
    EXPECT_EQ(*pool.apply(move_only, std::make_unique<int>(41)), 42);
}

TEST_F(PoolAsync, LambdasCallableObjectsAndContainersTravel) {
    struct Scale {
        double factor = 1;
        double operator()(double x) const { return factor * x; }
    };
    mp::Pool pool(2);
    EXPECT_DOUBLE_EQ(pool.apply(Scale{2.5}, 4), 10);
    EXPECT_EQ(pool.apply([](std::map<std::string, std::vector<int>> m) { return m["a"].size(); },
                         std::map<std::string, std::vector<int>>{{"a", {1, 2, 3}}}),
              3u);
    EXPECT_EQ(pool.apply([](auto x, auto y) { return x + y; }, 1, 2), 3);  // a generic lambda takes what it is given
}

TEST_F(PoolAsync, AnEmptyFunctionPointerIsRefused) {
    mp::Pool pool(1);
    int (*const empty)(int) = nullptr;
    EXPECT_THROW(pool.apply(empty, 1), std::invalid_argument);
    EXPECT_THROW(pool.map(empty, std::vector<int>{1}), std::invalid_argument);
    EXPECT_THROW(mp::partial(empty, 1), std::invalid_argument);
    EXPECT_EQ(pool.apply(twice, 1), 2);
}

TEST_F(PoolAsync, SixteenThreadsSubmitAtOnce) {
    mp::Pool pool(3);
    std::atomic<int> wrong = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 16; ++t) {
        threads.emplace_back([&pool, &wrong, t] {
            std::vector<mp::AsyncResult<int>> results;
            for (int i = 0; i < 200; ++i) results.push_back(pool.apply_async(twice, 1000 * t + i));
            for (int i = 0; i < 20; ++i) wrong += pool.apply(twice, i) != 2 * i;
            for (int i = 0; i < 200; ++i) wrong += results[static_cast<std::size_t>(i)].get() != 2 * (1000 * t + i);
            wrong += pool.map(twice, std::vector<int>{t}) != std::vector<int>{2 * t};
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0);
}

TEST_F(PoolAsync, SeveralPoolsWorkSideBySide) {
    mp::Pool first(2);
    mp::Pool second({.workers = 1, .name = "Second"});
    const mp::AsyncResult<int> a = first.apply_async(twice, 1);
    const mp::AsyncResult<int> b = second.apply_async(twice, 2);
    EXPECT_EQ(a.get() + b.get(), 6);
    EXPECT_EQ(second.apply([] { return mp::current_process().name; }).substr(0, 7), "Second-");
}

TEST_F(PoolAsync, TasksFinishThoughNobodyWaitsForThem) {
    mp::test::Gate gate;
    {
        mp::Pool pool(2);
        for (int i = 0; i < 5000; ++i) pool.apply_async(twice, i);
        pool.apply_async(mp::test::open_gate, gate.path());
        pool.close();
        pool.join();
    }
    EXPECT_TRUE(gate.is_open());
}

TEST_F(PoolAsync, ASlowTaskDoesNotHoldUpThoseBehindIt) {
    mp::Pool pool(2);
    pool.map(twice, std::views::iota(0, 1000));  // the pool has learned that `twice` is quick
    mp::test::Gate gate;
    const mp::AsyncResult<int> slow = pool.apply_async(mp::test::pass_gate, gate.path(), 1);
    std::vector<mp::AsyncResult<int>> quick;
    for (int i = 0; i < 500; ++i) quick.push_back(pool.apply_async(twice, i));
    for (int i = 0; i < 500; ++i) EXPECT_EQ(quick[static_cast<std::size_t>(i)].get(), 2 * i);
    EXPECT_FALSE(slow.ready());
    gate.open();
    EXPECT_EQ(slow.get(), 1);
}

// What the later task's number means was written behind the call that is cancelled, and goes with it.
TEST_F(PoolAsync, ATaskThatIsNewToTheWorkerRunsThoughTheOneBeforeItWasCancelled) {
    mp::Pool pool(1);
    for (int i = 0; i < 20; ++i) pool.apply(twice, i);  // the pool learns that it is quick, and hands it out ahead
    mp::test::Gate gate;
    const mp::AsyncResult<int> first = pool.apply_async(mp::test::pass_gate, gate.path(), 1);
    const mp::AsyncResult<int> second = pool.apply_async(twice, 2);
    const mp::AsyncResult<std::string> third = pool.apply_async(greet, "you");
    EXPECT_TRUE(second.cancel());
    gate.open();
    EXPECT_EQ(third.get(), "hello you");
    EXPECT_EQ(first.get(), 1);
    EXPECT_THROW(second.get(), mp::CancelledError);
}

}  // namespace
