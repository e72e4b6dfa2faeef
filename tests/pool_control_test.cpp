// Time limits, cancelling and retries: what they end, and what they leave alone.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "support/die.hpp"
#include "support/each_start_method.hpp"
#include "support/gate.hpp"

namespace {

namespace mp = multiproc;
using namespace std::chrono_literals;

// Longer than anything here takes, however busy the machine is.
constexpr auto ages = 10min;

int twice(int number) { return 2 * number; }
std::uint32_t own_pid() { return mp::current_process().pid; }

// A file to which every run of a task adds a line, so that a test can count them.
// Appending is atomic on some systems only, making a directory on all.
void mark(const std::string& path, int number) {
    for (std::error_code error; !std::filesystem::create_directory(path + ".lock", error);) std::this_thread::yield();
    std::ofstream(path, std::ios::app) << number << '\n' << std::flush;
    std::error_code ignored;
    while (!std::filesystem::remove(path + ".lock", ignored)) std::this_thread::yield();
}
std::map<int, int> marks_in(const std::string& path) {
    std::map<int, int> counts;
    std::ifstream file(path);
    for (int number = 0; file >> number;) ++counts[number];
    return counts;
}

// A task that says when it has begun and waits at a gate; its result is the process it ran in.
std::uint32_t announce_and_wait(const std::string& begun, const std::string& gate) {
    mp::test::open_gate(begun);
    mp::test::Gate::await(gate);
    return own_pid();
}
[[noreturn]] int loop_for_ever() {
    for (std::atomic<int> turns = 0;; ++turns) {}
}
int mark_and_wait_at_seven(const std::string& marks, const std::string& gate, int number) {
    mark(marks, number);
    return number == 7 ? mp::test::pass_gate(gate, 7) : number;
}
// Waits at the gate for number 7 only, and for 8 at another; everything else is quick.
int wait_at_seven(const std::string& begun, const std::string& gate, int number) {
    if (number != 7) return number;
    mp::test::open_gate(begun);
    return mp::test::pass_gate(gate, 7);
}

// Spins, so that it is over at the time given and not at the next tick of a clock.
int take_time(std::chrono::microseconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < end) {}
    return 1;
}

class PoolTimeout : public mp::test::EachStartMethod {
protected:
    static void expect_whole(mp::Pool& pool) {
        EXPECT_TRUE(mp::test::holds_soon([&] { return pool.worker_pids().size() == pool.workers(); }));
        EXPECT_EQ(pool.map(twice, std::vector<int>{1, 2, 3}), (std::vector<int>{2, 4, 6}));
    }
};
class PoolCancel : public PoolTimeout {};
class PoolRetries : public PoolTimeout {};
class PoolOptionsPerCall : public mp::test::EachStartMethod {};

// ---- timeout ----

TEST_F(PoolTimeout, ATasksOwnTimeoutEndsItAndItsWorkerOnly) {
    mp::Pool pool(2);
    const mp::test::Gate never, gate, begun;
    const mp::AsyncResult<std::uint32_t> other = pool.apply_async(announce_and_wait, begun.path(), gate.path());
    ASSERT_TRUE(begun.await());
    const std::vector<std::uint32_t> before = pool.worker_pids();
    const mp::AsyncResult<int> late = pool.with({.timeout = 50ms}).apply_async(mp::test::pass_gate, never.path(), 1);
    try {
        late.get();
        FAIL() << "it was not ended";
    } catch (const mp::TimeoutError& error) {
        EXPECT_NE(std::string(error.what()).find("longer than its timeout"), std::string::npos) << error.what();
    }
    EXPECT_FALSE(other.ready());
    gate.open();
    const std::uint32_t survivor = other.get();
    EXPECT_EQ(std::ranges::count(before, survivor), 1);
    expect_whole(pool);
    const std::vector<std::uint32_t> after = pool.worker_pids();
    EXPECT_EQ(std::ranges::count(after, survivor), 1);
    EXPECT_NE(before, after);
}

TEST_F(PoolTimeout, EndsATaskThatLoopsForEver) {
    mp::Pool pool(1);
    EXPECT_THROW(pool.with({.timeout = 30ms}).apply(loop_for_ever), mp::TimeoutError);
    expect_whole(pool);
}

TEST_F(PoolTimeout, WorksThoughNobodyWaits) {
    mp::Pool pool(1);
    const mp::test::Gate never;
    const mp::AsyncResult<int> late = pool.with({.timeout = 30ms}).apply_async(mp::test::pass_gate, never.path(), 1);
    const mp::AsyncResult<int> next = pool.apply_async(twice, 4);
    EXPECT_TRUE(mp::test::holds_soon([&] { return next.ready(); }));
    EXPECT_TRUE(late.ready());
    EXPECT_FALSE(late.successful());
    EXPECT_EQ(next.get(), 8);
}

TEST_F(PoolTimeout, OfAMapEndsTheItemAndRunsAllOthers) {
    mp::Pool pool(2);
    const mp::test::Gate never, marks;
    EXPECT_THROW(pool.with({.timeout = 100ms})
                     .map(mp::partial(mark_and_wait_at_seven, marks.path(), never.path()), std::views::iota(0, 30)),
                 mp::TimeoutError);
    const std::map<int, int> counts = marks_in(marks.path());
    EXPECT_EQ(counts.size(), 30u);
    for (const auto& [number, count] : counts) EXPECT_EQ(count, 1) << number;
    expect_whole(pool);
}

TEST_F(PoolTimeout, OfAnImapComesInItsPlace) {
    mp::Pool pool(2);
    const mp::test::Gate never, begun;
    auto results = pool.with({.timeout = 100ms, .chunk_size = 4})
                       .imap(mp::partial(wait_at_seven, begun.path(), never.path()), std::views::iota(0, 20));
    for (int i = 0; i < 20; ++i) {
        if (i == 7) {
            EXPECT_THROW(results.next(), mp::TimeoutError);
        } else {
            EXPECT_EQ(results.next(), i);
        }
    }
    EXPECT_EQ(results.next(), std::nullopt);
}

TEST_F(PoolTimeout, TheTimeBeginsWhenAWorkerBegins) {
    mp::Pool pool(1);
    const mp::test::Gate gate, begun;
    const mp::AsyncResult<std::uint32_t> first = pool.apply_async(announce_and_wait, begun.path(), gate.path());
    const mp::AsyncResult<int> second = pool.with({.timeout = 300ms}).apply_async(twice, 2);
    ASSERT_TRUE(begun.await());
    EXPECT_FALSE(second.wait_for(600ms));
    gate.open();
    EXPECT_EQ(second.get(), 4);
    first.get();
}

// What runs before it has no limit, and nobody tells when it ends.
TEST_F(PoolTimeout, IsKeptBehindTasksWithoutOne) {
    mp::Pool pool({.workers = 1, .initializer = [] {}});
    const mp::test::Gate never;
    std::chrono::nanoseconds shortest = 1h;
    for (int round = 0; round < 10; ++round) {
        std::vector<mp::AsyncResult<int>> before;
        for (int i = 0; i < 3; ++i) before.push_back(pool.apply_async(take_time, 5ms));
        const auto begin = std::chrono::steady_clock::now();
        EXPECT_THROW(pool.with({.timeout = 20ms}).apply(mp::test::pass_gate, never.path(), 1), mp::TimeoutError);
        shortest = std::min<std::chrono::nanoseconds>(shortest, std::chrono::steady_clock::now() - begin);
        for (const auto& result : before) EXPECT_EQ(result.get(), 1);
    }
    EXPECT_LT(shortest, 700ms);  // the pool looks by itself after a second: so long it would take each time
}

TEST_F(PoolTimeout, InTimeNothingHappens) {
    mp::Pool pool(2);
    pool.start();
    const std::vector<std::uint32_t> pids = pool.worker_pids();
    mp::PoolWith patient = pool.with({.timeout = ages});
    for (int i = 0; i < 200; ++i) EXPECT_EQ(patient.apply(twice, i), 2 * i);
    EXPECT_EQ(patient.map(twice, std::vector<int>{1, 2}), (std::vector<int>{2, 4}));
    EXPECT_EQ(pool.worker_pids(), pids);
    EXPECT_EQ(pool.stats().restarts, 0u);
}

TEST_F(PoolTimeout, OneThatIsTooLongToBeReachedIsNone) {
    mp::Pool pool(1);
    EXPECT_EQ(pool.with({.timeout = std::chrono::nanoseconds::max()}).apply(twice, 2), 4);
    EXPECT_EQ(pool.with({.timeout = std::chrono::nanoseconds::max()}).map(twice, std::vector<int>{3}),
              std::vector<int>{6});
    EXPECT_EQ(pool.stats().restarts, 0u);
}

// A task is over just when its time is: it has one outcome or the other, and the tasks behind it in the same worker
// notice nothing.
TEST_F(PoolTimeout, TasksBehindOneThatEndsAtTheLastMomentSufferNothing) {
    mp::Pool pool(1);
    for (int i = 0; i < 50; ++i) pool.apply(take_time, 1us);
    int timeouts = 0;
    for (int round = 0; round < 60; ++round) {
        const auto time = std::chrono::microseconds(4'600 + 15 * round);
        const mp::AsyncResult<int> at_the_edge = pool.with({.timeout = 5ms}).apply_async(take_time, time);
        std::vector<mp::AsyncResult<int>> behind;
        for (int i = 0; i < 5; ++i) behind.push_back(pool.apply_async(twice, i));
        try {
            EXPECT_EQ(at_the_edge.get(), 1);
        } catch (const mp::TimeoutError&) { ++timeouts; }
        for (int i = 0; i < 5; ++i) EXPECT_EQ(behind[static_cast<std::size_t>(i)].get(), 2 * i);
    }
    EXPECT_GE(timeouts, 1);
}

// Tasks without a limit share messages, and one whose first results are there is looked at too.
TEST_F(PoolTimeout, IsCheckedWhileOthersHaveComeHalfThroughAMessage) {
    mp::Pool pool(2);
    const mp::test::Gate never, gate, begun;
    const auto task = [](std::string path, int number) {
        if (number % 3 == 1) throw std::domain_error("no");
        return number == 8 ? mp::test::pass_gate(path, 8) : number;
    };
    for (int i = 0; i < 20; ++i) pool.apply(task, gate.path(), 0);
    std::vector<mp::AsyncResult<int>> shared;
    for (int i = 0; i < 40; ++i) shared.push_back(pool.apply_async(task, gate.path(), i));
    EXPECT_THROW(pool.with({.timeout = 30ms}).apply(mp::test::pass_gate, never.path(), 1), mp::TimeoutError);
    gate.open();
    for (int i = 0; i < 40; ++i) {
        const auto& result = shared[static_cast<std::size_t>(i)];
        if (i % 3 == 1) {
            EXPECT_THROW(result.get(), std::domain_error);
        } else {
            EXPECT_EQ(result.get(), i);
        }
    }
}

TEST_F(PoolTimeout, HoldsInAClosedPool) {
    mp::Pool pool(1);
    const mp::test::Gate never;
    const mp::AsyncResult<int> late = pool.with({.timeout = 50ms}).apply_async(mp::test::pass_gate, never.path(), 1);
    const mp::AsyncResult<int> behind = pool.apply_async(twice, 1);
    pool.close();
    pool.join();
    EXPECT_THROW(late.get(), mp::TimeoutError);
    EXPECT_EQ(behind.get(), 2);
}

// ---- cancel ----

TEST_F(PoolCancel, OfAPendingTaskItNeverRuns) {
    mp::Pool pool(1);
    const mp::test::Gate gate, begun, marks;
    const mp::AsyncResult<std::uint32_t> first = pool.apply_async(announce_and_wait, begun.path(), gate.path());
    std::vector<mp::AsyncResult<void>> pending;
    for (int i = 0; i < 200; ++i) pending.push_back(pool.apply_async(mark, marks.path(), i));
    ASSERT_TRUE(begun.await());
    for (int i = 0; i < 200; i += 2) EXPECT_TRUE(pending[static_cast<std::size_t>(i)].cancel());
    for (int i = 0; i < 200; i += 2) {
        EXPECT_TRUE(pending[static_cast<std::size_t>(i)].ready());
        EXPECT_THROW(pending[static_cast<std::size_t>(i)].get(), mp::CancelledError);
    }
    gate.open();
    pool.close();
    pool.join();
    first.get();
    const std::map<int, int> counts = marks_in(marks.path());
    EXPECT_EQ(counts.size(), 100u);
    for (const auto& [number, count] : counts) EXPECT_TRUE(number % 2 == 1 && count == 1) << number << ' ' << count;
}

TEST_F(PoolCancel, OfATaskHandedOutAndNotBegunItNeverRuns) {
    mp::Pool pool(1);
    const mp::test::Gate gate, marks;
    for (int round = 0; round < 20; ++round) pool.apply(mark, marks.path(), -1);  // quick, so it is handed out ahead
    const mp::test::Gate begun;
    const mp::AsyncResult<std::uint32_t> first = pool.apply_async(announce_and_wait, begun.path(), gate.path());
    const mp::AsyncResult<void> second = pool.apply_async(mark, marks.path(), 2);
    ASSERT_TRUE(begun.await());
    EXPECT_TRUE(second.cancel());
    EXPECT_FALSE(second.cancel());
    EXPECT_FALSE(first.ready());
    gate.open();
    const std::uint32_t worker = first.get();
    EXPECT_EQ(pool.apply(own_pid), worker);  // it was not replaced for that
    EXPECT_EQ(marks_in(marks.path()).count(2), 0u);
}

TEST_F(PoolCancel, OfATaskHandedOutToAWorkerThatIsToLeaveItNeverRuns) {
    const mp::test::Gate gate, marks, begun, finalized;
    {
        mp::Pool pool(
            {.workers = 1, .finalizer = mp::partial(mp::test::open_gate, finalized.path()), .max_tasks_per_worker = 2});
        const mp::AsyncResult<std::uint32_t> first = pool.apply_async(announce_and_wait, begun.path(), gate.path());
        const mp::AsyncResult<void> second = pool.apply_async(mark, marks.path(), 2);
        ASSERT_TRUE(begun.await());
        EXPECT_TRUE(second.cancel());
        gate.open();
        const std::uint32_t worker = first.get();
        pool.apply(mark, marks.path(), 3);
        EXPECT_TRUE(mp::test::holds_soon([&] { return std::ranges::count(pool.worker_pids(), worker) == 0; }));
        pool.close();
        pool.join();
    }
    EXPECT_TRUE(finalized.is_open());
    EXPECT_EQ(marks_in(marks.path()), (std::map<int, int>{{3, 1}}));
}

TEST_F(PoolCancel, OfARunningTaskItsWorkerIsReplacedAndOthersAreUntouched) {
    mp::Pool pool(2);
    const mp::test::Gate never, gate, first_begun, second_begun;
    const mp::AsyncResult<std::uint32_t> given_up =
        pool.apply_async(announce_and_wait, first_begun.path(), never.path());
    const mp::AsyncResult<std::uint32_t> other = pool.apply_async(announce_and_wait, second_begun.path(), gate.path());
    ASSERT_TRUE(first_begun.await());
    ASSERT_TRUE(second_begun.await());
    std::vector<mp::AsyncResult<int>> behind;
    for (int i = 0; i < 100; ++i) behind.push_back(pool.apply_async(twice, i));
    const std::vector<std::uint32_t> before = pool.worker_pids();
    EXPECT_TRUE(given_up.cancel());
    EXPECT_TRUE(given_up.ready());
    EXPECT_THROW(given_up.get(), mp::CancelledError);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(behind[static_cast<std::size_t>(i)].get(), 2 * i);  // in the new worker
    EXPECT_FALSE(other.ready());
    gate.open();
    const std::uint32_t survivor = other.get();
    EXPECT_EQ(std::ranges::count(before, survivor), 1);
    expect_whole(pool);
    const std::vector<std::uint32_t> after = pool.worker_pids();
    EXPECT_EQ(std::ranges::count(after, survivor), 1);
    EXPECT_NE(before, after);
    EXPECT_EQ(pool.stats().restarts, 1u);
}

// The tasks are quick, as far as the pool knows, so they travel together.
TEST_F(PoolCancel, OfOneOfSeveralTasksInOneMessageOthersAreUntouched) {
    mp::Pool pool(1);
    const mp::test::Gate never, begun;
    for (int i = 0; i < 50; ++i) pool.apply(wait_at_seven, begun.path(), never.path(), 0);
    std::vector<mp::AsyncResult<int>> results;
    for (int i = 0; i < 60; ++i) results.push_back(pool.apply_async(wait_at_seven, begun.path(), never.path(), i));
    ASSERT_TRUE(begun.await());
    EXPECT_TRUE(results[7].cancel());
    for (int i = 0; i < 60; ++i) {
        const auto& result = results[static_cast<std::size_t>(i)];
        if (i == 7) {
            EXPECT_THROW(result.get(), mp::CancelledError);
        } else {
            EXPECT_EQ(result.get(), i);
        }
    }
    expect_whole(pool);
}

TEST_F(PoolCancel, OfATaskBehindTheRunningOneInItsMessageEndsItWhenItIsReached) {
    mp::Pool pool(1);
    const mp::test::Gate gate, never, begun;
    // Waits twice: at 7 for a gate that opens, at 9 for one that does not.
    const auto task = [](std::string first, std::string begun_path, std::string second, int number) {
        if (number == 7) mp::test::open_gate(begun_path);
        if (number == 7) return mp::test::pass_gate(first, 7);
        return number == 9 ? mp::test::pass_gate(second, 9) : number;
    };
    for (int i = 0; i < 50; ++i) pool.apply(task, gate.path(), begun.path(), never.path(), 0);
    std::vector<mp::AsyncResult<int>> results;
    for (int i = 0; i < 40; ++i) results.push_back(pool.apply_async(task, gate.path(), begun.path(), never.path(), i));
    ASSERT_TRUE(begun.await());
    EXPECT_TRUE(results[9].cancel());
    gate.open();
    for (int i = 0; i < 40; ++i) {
        const auto& result = results[static_cast<std::size_t>(i)];
        if (i == 9) {
            EXPECT_THROW(result.get(), mp::CancelledError);
        } else {
            EXPECT_EQ(result.get(), i);
        }
    }
}

TEST_F(PoolCancel, OfAMapEndsItsRunningItemsAndDropsTheRest) {
    mp::Pool pool(2);
    const mp::test::Gate never, marks;
    const auto task = [](std::string mark_path, std::string gate, int number) {
        mark(mark_path, number);
        return mp::test::pass_gate(gate, number);
    };
    const mp::AsyncResult<std::vector<int>> all =
        pool.map_async(mp::partial(task, marks.path(), never.path()), std::views::iota(0, 500), 10);
    ASSERT_TRUE(mp::test::holds_soon([&] { return marks_in(marks.path()).size() == 2; }));
    EXPECT_TRUE(all.cancel());
    EXPECT_THROW(all.get(), mp::CancelledError);
    expect_whole(pool);
    pool.close();
    pool.join();
    EXPECT_EQ(marks_in(marks.path()).size(), 2u);
}

TEST_F(PoolCancel, WakesThoseWhoWait) {
    mp::Pool pool(1);
    const mp::test::Gate gate;
    const mp::AsyncResult<int> running = pool.apply_async(mp::test::pass_gate, gate.path(), 1);
    std::chrono::nanoseconds longest{0};
    for (int round = 0; round < 200; ++round) {
        const mp::AsyncResult<int> pending = pool.apply_async(twice, round);
        std::atomic<bool> is_waiting = false;
        std::thread waiting([&] {
            is_waiting = true;
            EXPECT_THROW(pending.get(), mp::CancelledError);
        });
        while (!is_waiting) std::this_thread::yield();
        const auto begin = std::chrono::steady_clock::now();
        EXPECT_TRUE(pending.cancel());
        waiting.join();
        longest = std::max<std::chrono::nanoseconds>(longest, std::chrono::steady_clock::now() - begin);
    }
    EXPECT_LT(longest, 500ms);
    gate.open();
    EXPECT_EQ(running.get(), 1);
}

TEST_F(PoolCancel, AfterCompletionChangesNothing) {
    mp::Pool pool(1);
    const mp::AsyncResult<int> done = pool.apply_async(twice, 4);
    done.wait();
    EXPECT_FALSE(done.cancel());
    EXPECT_EQ(done.get(), 8);
    const mp::AsyncResult<int> failed = pool.apply_async([]() -> int { throw std::domain_error("no"); });
    failed.wait();
    EXPECT_FALSE(failed.cancel());
    EXPECT_THROW(failed.get(), std::domain_error);
    const mp::AsyncResult<std::vector<int>> map = pool.map_async(twice, std::vector<int>{});
    map.wait();
    EXPECT_FALSE(map.cancel());
    EXPECT_EQ(pool.stats().restarts, 0u);
}

TEST_F(PoolCancel, AfterTheEndOfThePoolChangesNothing) {
    std::optional<mp::AsyncResult<int>> result;
    std::optional<mp::AsyncResult<int>> done;
    const mp::test::Gate never;
    {
        mp::Pool pool(1);
        done = pool.apply_async(twice, 2);
        done->wait();
        result = pool.apply_async(mp::test::pass_gate, never.path(), 1);
        pool.terminate();
        EXPECT_FALSE(result->cancel());
    }
    EXPECT_FALSE(result->cancel());
    EXPECT_FALSE(done->cancel());
    EXPECT_THROW(result->get(), mp::ClosedError);
    EXPECT_EQ(done->get(), 4);
}

// Of two tasks in one worker the first may be over just when it is cancelled: the second must not die for it.
TEST_F(PoolCancel, AtTheLastMomentHurtsNobody) {
    mp::Pool pool(1);
    for (int i = 0; i < 20; ++i) pool.apply(take_time, 300us);
    for (int round = 0; round < 100; ++round) {
        const mp::AsyncResult<int> first = pool.with({.timeout = ages}).apply_async(take_time, 300us);
        const mp::AsyncResult<int> second = pool.with({.timeout = ages}).apply_async(take_time, 300us);
        take_time(std::chrono::microseconds(250 + round));
        if (first.cancel()) {
            EXPECT_THROW(first.get(), mp::CancelledError);
        } else {
            EXPECT_EQ(first.get(), 1);
        }
        EXPECT_EQ(second.get(), 1) << round;
    }
}

TEST_F(PoolCancel, OfEverythingWhileWorkersAreStartingLeavesAPoolThatWorks) {
    const std::vector<char> big(200'000);  // travels in a segment, which cannot be taken back
    const auto size = [](const std::vector<char>& bytes) { return bytes.size(); };
    mp::Pool pool(2);
    for (int round = 0; round < 8; ++round) {
        std::vector<mp::AsyncResult<std::size_t>> results;
        for (int i = 0; i < 6; ++i) results.push_back(pool.apply_async(size, big));
        for (const auto& result : results) {
            if (result.cancel()) {
                EXPECT_THROW(result.get(), mp::CancelledError);
            } else {
                EXPECT_EQ(result.get(), big.size());
            }
        }
    }
    EXPECT_EQ(pool.apply(size, big), big.size());
    expect_whole(pool);
}

TEST_F(PoolCancel, ByManyThreadsAtOnceLosesNothing) {
    mp::Pool pool(2);
    std::vector<mp::AsyncResult<int>> results;
    for (int i = 0; i < 4000; ++i) results.push_back(pool.apply_async(twice, i));
    std::vector<std::thread> threads;
    std::atomic<int> cancelled = 0;
    for (std::size_t t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            for (std::size_t i = t; i < results.size(); i += 3) cancelled += results[i].cancel() ? 1 : 0;
        });
    }
    for (std::thread& thread : threads) thread.join();
    int thrown = 0;
    for (std::size_t i = 0; i < results.size(); ++i) {
        try {
            EXPECT_EQ(results[i].get(), 2 * static_cast<int>(i));
        } catch (const mp::CancelledError&) { ++thrown; }
    }
    EXPECT_EQ(thrown, cancelled);
    pool.close();
    pool.join();
}

// ---- retries ----

// Dies in its first `deaths` runs.
int die_at_first(const std::string& marks, int deaths, int number) {
    mark(marks, number);
    if (marks_in(marks)[number] <= deaths) mp::test::die(mp::test::Death::kill);
    return number;
}

TEST_F(PoolRetries, ATaskWhoseWorkerDiedRunsAgainAtMostNTimes) {
    mp::Pool pool(2);
    const mp::test::Gate marks;
    mp::PoolWith twice_more = pool.with({.retries = 2});
    EXPECT_EQ(twice_more.apply(die_at_first, marks.path(), 1, 10), 10);
    EXPECT_EQ(twice_more.apply(die_at_first, marks.path(), 2, 20), 20);
    EXPECT_THROW(twice_more.apply(die_at_first, marks.path(), 99, 30), mp::WorkerDied);
    EXPECT_THROW(pool.apply(die_at_first, marks.path(), 99, 40), mp::WorkerDied);
    EXPECT_EQ(marks_in(marks.path()), (std::map<int, int>{{10, 2}, {20, 3}, {30, 3}, {40, 1}}));
    expect_whole(pool);
}

TEST_F(PoolRetries, AnItemOfAMapRunsAgainAndNoneThatFinished) {
    mp::Pool pool(2);
    const mp::test::Gate marks;
    const auto task = [](std::string path, int number) {
        return number % 10 == 7 ? die_at_first(path, 1, number) : (mark(path, number), number);
    };
    for (const int chunk : {1, 8, 50}) {
        std::error_code ignored;
        std::filesystem::remove(marks.path(), ignored);
        const std::vector<int> results = pool.with({.retries = 1, .chunk_size = chunk})
                                             .map(mp::partial(task, marks.path()), std::views::iota(0, 50));
        for (int i = 0; i < 50; ++i) EXPECT_EQ(results.at(static_cast<std::size_t>(i)), i);
        const std::map<int, int> counts = marks_in(marks.path());
        EXPECT_EQ(counts.size(), 50u);
        for (const auto& [number, count] : counts) EXPECT_EQ(count, number % 10 == 7 ? 2 : 1) << number;
    }
}

TEST_F(PoolRetries, AnItemThatAlwaysDiesFailsAfterNAndAllOthersFinish) {
    mp::Pool pool(2);
    const mp::test::Gate marks;
    const auto task = [](std::string path, int number) {
        return number == 7 ? die_at_first(path, 99, number) : (mark(path, number), number);
    };
    EXPECT_THROW(
        pool.with({.retries = 3, .chunk_size = 10}).map(mp::partial(task, marks.path()), std::views::iota(0, 40)),
        mp::WorkerDied);
    const std::map<int, int> counts = marks_in(marks.path());
    EXPECT_EQ(counts.size(), 40u);
    for (const auto& [number, count] : counts) EXPECT_EQ(count, number == 7 ? 4 : 1) << number;
    expect_whole(pool);
}

TEST_F(PoolRetries, NeverATaskThatThrew) {
    mp::Pool pool(1);
    const mp::test::Gate marks;
    const auto task = [](std::string path) {
        mark(path, 1);
        throw std::domain_error("no");
    };
    EXPECT_THROW(pool.with({.retries = 5}).apply(task, marks.path()), std::domain_error);
    EXPECT_EQ(marks_in(marks.path()), (std::map<int, int>{{1, 1}}));
}

TEST_F(PoolRetries, NeverATaskWhoseTimeWasOverOrThatWasCancelled) {
    mp::Pool pool(1);
    const mp::test::Gate marks, never;
    const auto task = [](std::string path, std::string gate, int number) {
        mark(path, number);
        return mp::test::pass_gate(gate, number);
    };
    EXPECT_THROW(pool.with({.timeout = 100ms, .retries = 5}).apply(task, marks.path(), never.path(), 1),
                 mp::TimeoutError);
    const mp::AsyncResult<int> given_up = pool.with({.retries = 5}).apply_async(task, marks.path(), never.path(), 2);
    ASSERT_TRUE(mp::test::holds_soon([&] { return marks_in(marks.path()).count(2) == 1; }));
    EXPECT_TRUE(given_up.cancel());
    expect_whole(pool);
    EXPECT_EQ(marks_in(marks.path()), (std::map<int, int>{{1, 1}, {2, 1}}));
}

// A task that has died once waits behind another when that one's worker dies, too: its attempts still count.
TEST_F(PoolRetries, DeathsOfOthersDoNotReturnAttempts) {
    mp::Pool pool(1);
    const mp::test::Gate marks;
    std::vector<mp::AsyncResult<int>> results;
    for (int i = 0; i < 12; ++i)
        results.push_back(pool.with({.retries = 2}).apply_async(die_at_first, marks.path(), 99, i));
    for (const auto& result : results) EXPECT_THROW(result.get(), mp::WorkerDied);
    const std::map<int, int> counts = marks_in(marks.path());
    EXPECT_EQ(counts.size(), 12u);
    for (const auto& [number, count] : counts) EXPECT_EQ(count, 3) << number;
}

// ---- bad input ----

TEST_F(PoolOptionsPerCall, ThatMakeNoSenseAreRefused) {
    mp::Pool pool(1);
    EXPECT_THROW(pool.with({.timeout = -1ns}), std::invalid_argument);
    EXPECT_THROW(pool.with({.timeout = -5s}), std::invalid_argument);
    EXPECT_THROW(pool.with({.retries = -1}), std::invalid_argument);
    EXPECT_THROW(pool.with({.chunk_size = -1}), std::invalid_argument);
    EXPECT_THROW(pool.with({}).map(twice, std::vector<int>{1}, -1), std::invalid_argument);
    EXPECT_TRUE(pool.worker_pids().empty());
    EXPECT_EQ(pool.with({}).apply(twice, 1), 2);
}

TEST_F(PoolOptionsPerCall, ChunksOfZeroAndOfMoreThanThereIsAreFine) {
    mp::Pool pool(2);
    EXPECT_EQ(pool.with({.chunk_size = 0}).map(twice, std::vector<int>{1, 2, 3}), (std::vector<int>{2, 4, 6}));
    EXPECT_EQ(pool.with({.chunk_size = UINT64_MAX}).map(twice, std::vector<int>{1, 2, 3}), (std::vector<int>{2, 4, 6}));
    EXPECT_EQ(pool.with({.retries = UINT64_MAX}).map(twice, std::vector<int>{}), std::vector<int>{});
}

TEST_F(PoolOptionsPerCall, AChunkIsAtMostSoManyItems) {
    mp::Pool pool(1);
    const std::vector<int> numbers(100, 1);
    pool.map(twice, numbers);
    const std::uint64_t before = pool.stats().messages;
    pool.with({.chunk_size = 5}).map(twice, numbers);
    EXPECT_GE(pool.stats().messages - before, 20u);
}

TEST_F(PoolOptionsPerCall, UseAfterCloseAndTerminateIsAnError) {
    std::optional<mp::PoolWith> closed, terminated, gone;
    mp::Pool pool(1);
    closed = pool.with({.timeout = 1s});
    EXPECT_EQ(closed->apply(twice, 1), 2);
    pool.close();
    EXPECT_THROW(closed->apply(twice, 1), mp::ClosedError);
    EXPECT_THROW(closed->map(twice, std::vector<int>{1}), mp::ClosedError);
    EXPECT_THROW(pool.with({.retries = 1}).apply_async(twice, 1), mp::ClosedError);
    pool.join();
    EXPECT_THROW(closed->apply(twice, 1), mp::ClosedError);
    {
        mp::Pool other(1);
        terminated = gone = other.with({.retries = 1});
        other.terminate();
        EXPECT_THROW(terminated->apply(twice, 1), mp::ClosedError);
        EXPECT_THROW(terminated->map_async(twice, std::vector<int>{1}), mp::ClosedError);
        EXPECT_THROW(other.with({.timeout = 1s}).apply(twice, 1), mp::ClosedError);
    }
    EXPECT_THROW(gone->apply(twice, 1), mp::ClosedError);
    EXPECT_THROW(gone->imap(twice, std::vector<int>{1}), mp::ClosedError);
    mp::Pool moved(1);
    const mp::Pool to = std::move(moved);
    EXPECT_THROW(moved.with({}), mp::ClosedError);  // NOLINT(bugprone-use-after-move)
}

// Even a task that kills every worker it meets is only its own problem.
TEST_F(PoolOptionsPerCall, ManyRetriesDoNotBreakThePool) {
    mp::Pool pool(1);
    EXPECT_THROW(pool.with({.retries = 30}).apply(&mp::test::die, mp::test::Death::kill), mp::WorkerDied);
    EXPECT_EQ(pool.apply([](int x) { return x + 1; }, 1), 2);
}

}  // namespace
