// as_completed and wait: several results at once, also of different pools.
#include <algorithm>
#include <chrono>
#include <list>
#include <stdexcept>
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

class PoolCompletion : public mp::test::EachStartMethod {};

int twice(int number) { return 2 * number; }
[[noreturn]] int fail(const std::string& path) {
    mp::test::Gate::await(path);
    throw std::domain_error("no");
}
int pass_and_open(const std::string& wait_for, const std::string& opened, int result) {
    mp::test::Gate::await(wait_for);
    mp::test::open_gate(opened);
    return result;
}

using Results = std::vector<mp::AsyncResult<int>>;

static_assert(std::ranges::input_range<mp::Completed<int>>);
static_assert(!std::ranges::forward_range<mp::Completed<int>>);

TEST_F(PoolCompletion, ResultsComeInTheOrderInWhichTheyAreReady) {
    mp::Pool pool(3);
    mp::test::Gate gates[3];
    const Results results{pool.apply_async(mp::test::pass_gate, gates[0].path(), 0),
                          pool.apply_async(mp::test::pass_gate, gates[1].path(), 1),
                          pool.apply_async(mp::test::pass_gate, gates[2].path(), 2)};
    mp::Completed<int> completed = mp::as_completed(results);
    gates[1].open();
    auto it = completed.begin();
    EXPECT_EQ(it->get(), 1);
    gates[2].open();
    ++it;
    EXPECT_EQ((*it).get(), 2);
    EXPECT_EQ(*it, results[2]);
    EXPECT_FALSE(results[0].ready());
    gates[0].open();
    it++;
    EXPECT_EQ(it->get(), 0);
    EXPECT_NE(it, completed.end());
    EXPECT_EQ(++it, completed.end());
}

TEST_F(PoolCompletion, WhatIsReadyComesFirstAndTwiceIfGivenTwice) {
    mp::Pool pool(1);
    Results results{pool.apply_async(twice, 1), pool.apply_async(twice, 2)};
    for (const auto& result : results) result.wait();
    results.push_back(results[0]);
    std::vector<int> values;
    for (const mp::AsyncResult<int>& result : mp::as_completed(results, 0s)) values.push_back(result.get());
    EXPECT_EQ(values, (std::vector<int>{2, 4, 2}));
    for (const mp::AsyncResult<int>& result : mp::as_completed(Results{})) ADD_FAILURE() << result.get();
}

TEST_F(PoolCompletion, ThousandsOfTasksComeOnceEach) {
    mp::Pool pool(3);
    Results results;
    for (int i = 0; i < 3000; ++i) results.push_back(pool.apply_async(twice, i));
    std::vector<int> values;
    for (const mp::AsyncResult<int>& result : mp::as_completed(results)) {
        EXPECT_TRUE(result.ready());
        values.push_back(result.get());
    }
    std::ranges::sort(values);
    ASSERT_EQ(values.size(), 3000u);
    for (int i = 0; i < 3000; ++i) EXPECT_EQ(values[static_cast<std::size_t>(i)], 2 * i);
}

TEST_F(PoolCompletion, PoolsAndKindsOfTasksMix) {
    mp::Pool first(1);
    mp::Pool second(2);
    mp::test::Gate gate;
    std::list<mp::AsyncResult<std::vector<int>>> results{first.map_async(twice, std::vector<int>{1, 2}),
                                                         second.map_async(twice, std::vector<int>{3})};
    results.push_back(second.apply_async(
        [](const std::string& path) { return std::vector<int>(1, mp::test::pass_gate(path, 9)); }, gate.path()));
    int count = 0;
    for (const auto& result : mp::as_completed(results)) {
        if (++count == 2) gate.open();
        EXPECT_EQ(result == results.back(), count == 3);
    }
    EXPECT_EQ(count, 3);
}

TEST_F(PoolCompletion, AsCompletedThrowsWhenItsTimeIsOver) {
    mp::Pool pool(2);
    mp::test::Gate gate;
    const Results results{pool.apply_async(mp::test::pass_gate, gate.path(), 1), pool.apply_async(twice, 1)};
    results[1].wait();
    mp::Completed<int> completed = mp::as_completed(results, 20ms);
    auto it = completed.begin();
    EXPECT_EQ(it->get(), 2);
    EXPECT_THROW(++it, mp::TimeoutError);
    EXPECT_EQ(it->get(), 2);
    EXPECT_THROW(mp::as_completed(results, -1s).begin()++, mp::TimeoutError);
    gate.open();
    results[0].wait();
    EXPECT_EQ((++it)->get(), 1);
    EXPECT_EQ(++it, completed.end());
}

TEST_F(PoolCompletion, WaitReturnsWhatIsReadyAndWhatIsNot) {
    mp::Pool pool(3);
    mp::test::Gate gates[3];
    const Results results{pool.apply_async(mp::test::pass_gate, gates[0].path(), 0),
                          pool.apply_async(mp::test::pass_gate, gates[1].path(), 1),
                          pool.apply_async(mp::test::pass_gate, gates[2].path(), 2)};
    mp::DoneAndNotDone<int> sorted = mp::wait(results, mp::Until::all, 1ms);
    EXPECT_TRUE(sorted.done.empty());
    EXPECT_EQ(sorted.not_done, results);
    gates[1].open();
    sorted = mp::wait(results, mp::Until::first_completed);
    EXPECT_EQ(sorted.done, Results{results[1]});
    EXPECT_EQ(sorted.not_done, (Results{results[0], results[2]}));
    EXPECT_EQ(mp::wait(results, mp::Until::all, 0s).done.size(), 1u);
    EXPECT_EQ(mp::wait(results, mp::Until::all, -1s).done.size(), 1u);
    gates[0].open();
    gates[2].open();
    const auto [done, not_done] = mp::wait(results);
    EXPECT_EQ(done, results);
    EXPECT_TRUE(not_done.empty());
    EXPECT_TRUE(mp::wait(Results{}).done.empty());
}

TEST_F(PoolCompletion, WaitEndsAtTheFirstError) {
    mp::Pool pool(3);
    mp::test::Gate gates[2];
    const Results results{pool.apply_async(mp::test::pass_gate, gates[0].path(), 0),
                          pool.apply_async(fail, gates[1].path()), pool.apply_async(twice, 2)};
    results[2].wait();
    EXPECT_EQ(mp::wait(results, mp::Until::first_error, 1ms).done, Results{results[2]});
    gates[1].open();
    EXPECT_EQ(mp::wait(results, mp::Until::first_error).done, (Results{results[1], results[2]}));
    results[0].cancel();
    EXPECT_EQ(mp::wait(Results{results[0]}, mp::Until::first_error).done, Results{results[0]});
    const Results fine{pool.apply_async(twice, 1), pool.apply_async(twice, 2)};
    EXPECT_EQ(mp::wait(fine, mp::Until::first_error).done, fine);
}

TEST_F(PoolCompletion, WaitingAgainAndAgainEndsWithTheResult) {
    mp::Pool pool(1);
    mp::test::Gate gate;
    const Results results{pool.apply_async(mp::test::pass_gate, gate.path(), 3)};
    for (int i = 0; i < 2000; ++i) EXPECT_TRUE(mp::wait(results, mp::Until::all, 0s).done.empty());
    gate.open();
    EXPECT_EQ(mp::wait(results).done, results);
}

TEST_F(PoolCompletion, APoolThatEndsMakesItsResultsReady) {
    mp::test::Gate gate;
    auto pool = std::make_unique<mp::Pool>(1);
    const Results results{pool->apply_async(mp::test::pass_gate, gate.path(), 1),
                          pool->apply_async(mp::test::pass_gate, gate.path(), 2)};
    std::thread ender([&pool] { pool.reset(); });
    int errors = 0;
    for (const mp::AsyncResult<int>& result : mp::as_completed(results)) {
        EXPECT_THROW(result.get(), mp::ClosedError);
        ++errors;
    }
    EXPECT_EQ(errors, 2);
    ender.join();
    gate.open();
}

// While somebody waits for results of the pool in get(), others learn of theirs too.
TEST_F(PoolCompletion, WaitersOfEveryKindSideBySide) {
    mp::Pool pool(2);
    mp::test::Gate first;
    mp::test::Gate second;
    const mp::AsyncResult<int> last = pool.apply_async(mp::test::pass_gate, second.path(), 7);
    const Results results{pool.apply_async(pass_and_open, first.path(), second.path(), 1)};
    std::thread getter([&last] { EXPECT_EQ(last.get(), 7); });
    std::thread waiter([&results] { EXPECT_EQ(mp::wait(results).done, results); });
    first.open();
    waiter.join();
    getter.join();
}

}  // namespace
