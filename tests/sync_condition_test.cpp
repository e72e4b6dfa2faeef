// Conditions and barriers that processes and threads share.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "support/atomic_in.hpp"
#include "support/each_start_method.hpp"

namespace {

using namespace std::chrono_literals;
namespace mp = multiproc;
using Clock = std::chrono::steady_clock;
using SyncCondition = mp::test::EachStartMethod;
using SyncBarrier = mp::test::EachStartMethod;

struct Counts {
    std::int32_t waiting = 0;
    std::int32_t woken = 0;
};

void wait_once(mp::Condition changed, mp::RawValue<Counts> counts) {
    const std::scoped_lock guard(changed);
    ++counts->waiting;
    changed.wait();
    ++counts->woken;
}

// Until so many wait: they hold the lock until they do.
bool are_waiting(const mp::Condition& changed, const mp::RawValue<Counts>& counts, int number) {
    return mp::test::holds_soon([&] {
        const std::scoped_lock guard(changed);
        return counts->waiting == number;
    });
}
bool are_woken(const mp::Condition& changed, const mp::RawValue<Counts>& counts, int number) {
    return mp::test::holds_soon([&] {
        const std::scoped_lock guard(changed);
        return counts->woken == number;
    });
}

TEST_F(SyncCondition, notify_wakes_exactly_so_many_of_processes_and_threads) {
    const mp::Condition changed;
    const mp::RawValue<Counts> counts;
    std::vector<mp::Process<void>> processes;
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
        processes.emplace_back(wait_once, changed, counts);
        processes.back().start();
        threads.emplace_back(wait_once, changed, counts);
    }
    ASSERT_TRUE(are_waiting(changed, counts, 6));
    {
        // Those whose time was over before take nothing from the others.
        const std::scoped_lock guard(changed);
        for (int i = 0; i < 3; ++i) EXPECT_FALSE(changed.wait(1ms));
        changed.notify(2);
    }
    ASSERT_TRUE(are_woken(changed, counts, 2));
    {
        const std::scoped_lock guard(changed);
        EXPECT_FALSE(changed.wait(120ms));  // time for more of them to come, were they woken
        EXPECT_EQ(counts->woken, 2);
        changed.notify(3);
        changed.notify();
        changed.notify(5);  // there are no more
    }
    ASSERT_TRUE(are_woken(changed, counts, 6));
    for (std::thread& thread : threads) thread.join();
    for (auto& process : processes) process.result();
}

TEST_F(SyncCondition, a_notification_is_not_spent_on_a_waiter_that_was_killed) {
    const mp::Condition changed{mp::Lock()};
    const mp::RawValue<Counts> counts;
    mp::Process<void> killed(wait_once, changed, counts), waiting(wait_once, changed, counts);
    killed.start();
    ASSERT_TRUE(are_waiting(changed, counts, 1));
    waiting.start();
    ASSERT_TRUE(are_waiting(changed, counts, 2));
    killed.kill();
    killed.join();
    {
        const std::scoped_lock guard(changed);
        changed.notify();
    }
    EXPECT_TRUE(waiting.join_for(60s));
    waiting.result();
}

TEST_F(SyncCondition, needs_its_lock) {
    const mp::Condition changed;
    EXPECT_THROW(changed.wait(), std::logic_error);
    EXPECT_THROW(changed.notify(), std::logic_error);
    EXPECT_THROW(changed.notify_all(), std::logic_error);
    EXPECT_THROW(changed.release(), std::logic_error);
    const std::scoped_lock guard(changed);
    EXPECT_THROW(changed.notify(0), std::invalid_argument);
    EXPECT_THROW(changed.notify(-1), std::invalid_argument);
    changed.notify();
    changed.notify_all();
}

TEST_F(SyncCondition, gives_a_recursive_lock_up_wholly_and_takes_it_as_often) {
    const mp::RLock lock;
    const mp::Condition changed(lock);
    lock.lock();
    lock.lock();
    std::thread thread([&] {
        const std::scoped_lock guard(changed);
        changed.notify();
    });
    EXPECT_TRUE(changed.wait());
    thread.join();
    lock.unlock();
    EXPECT_TRUE(lock.locked());
    lock.unlock();
    EXPECT_FALSE(lock.locked());
}

TEST_F(SyncCondition, wait_for_keeps_its_deadline_though_notified) {
    const mp::Condition changed;
    std::atomic<bool> stop{false};
    std::thread noise([&] {
        while (!stop) {
            const std::scoped_lock guard(changed);
            changed.notify_all();
        }
    });
    {
        const std::scoped_lock guard(changed);
        const auto begin = Clock::now();
        EXPECT_FALSE(changed.wait_for([] { return false; }, 150ms));
        EXPECT_GE(Clock::now() - begin, 150ms);
        EXPECT_TRUE(changed.wait_for([] { return true; }, 0s));
    }
    stop = true;
    noise.join();
}

void produce(mp::Condition changed, mp::RawValue<int> stock, int times) {
    for (int i = 0; i < times; ++i) {
        const std::scoped_lock guard(changed);
        ++*stock;
        changed.notify();
    }
}

TEST_F(SyncCondition, hands_over_between_a_producer_and_consumers) {
    const mp::Condition changed;
    const mp::RawValue<int> stock(0);
    mp::Process<void> producer(produce, changed, stock, 2'000);
    producer.start();
    std::vector<std::thread> consumers;
    for (int i = 0; i < 2; ++i) {
        consumers.emplace_back([&] {
            for (int taken = 0; taken < 1'000; ++taken) {
                const std::scoped_lock guard(changed);
                EXPECT_TRUE(changed.wait_for([&] { return *stock > 0; }, 60s));
                --*stock;
            }
        });
    }
    for (std::thread& consumer : consumers) consumer.join();
    producer.result();
    EXPECT_EQ(*stock, 0);
}

std::uint32_t count_leaderships(mp::Barrier barrier, int rounds) {
    std::uint32_t led = 0;
    for (int i = 0; i < rounds; ++i) led += barrier.wait() == 0 ? 1 : 0;
    return led;
}

TEST_F(SyncBarrier, has_exactly_one_leader_per_round_in_1000_rounds) {
    const mp::Barrier barrier(4);
    mp::Process<std::uint32_t> a(count_leaderships, barrier, 1'000), b(count_leaderships, barrier, 1'000);
    a.start();
    b.start();
    std::uint32_t led_by_thread = 0;
    std::thread thread([&] { led_by_thread = count_leaderships(barrier, 1'000); });
    const std::uint32_t led_here = count_leaderships(barrier, 1'000);
    thread.join();
    EXPECT_EQ(led_here + led_by_thread + a.result() + b.result(), 1'000u);
    EXPECT_EQ(barrier.n_waiting(), 0u);
    EXPECT_EQ(barrier.parties(), 4u);
}

TEST_F(SyncBarrier, lets_nobody_through_before_all_have_come) {
    const mp::Barrier barrier(3);
    const mp::RawValue<std::int32_t> arrived(0);
    const auto come = [](mp::Barrier mine, mp::RawValue<std::int32_t> count) {
        bool all = true;
        for (int round = 1; round <= 100; ++round) {
            mp::test::atomic_in(*count).fetch_add(1);
            mine.wait();
            all = all && mp::test::atomic_in(*count).load() >= 3 * round;
        }
        return all;
    };
    mp::Process a(come, barrier, arrived), b(come, barrier, arrived);
    a.start();
    b.start();
    EXPECT_TRUE(come(barrier, arrived));
    EXPECT_TRUE(a.result());
    EXPECT_TRUE(b.result());
}

// What becomes of one that waits in another process.
enum class End : std::uint8_t { through, broken };
End await(mp::Barrier barrier) {
    try {
        barrier.wait();
        return End::through;
    } catch (const mp::BrokenBarrierError&) { return End::broken; }
}

TEST_F(SyncBarrier, abort_reset_and_timeout_break_all_who_wait_and_it_recovers) {
    const mp::Barrier barrier(3);
    for (const int way : {0, 1, 2}) {
        mp::Process<End> waiting(await, barrier);
        waiting.start();
        ASSERT_TRUE(mp::test::holds_soon([&] { return barrier.n_waiting() == 1; }));
        if (way == 0) barrier.abort();
        if (way == 1) barrier.reset();
        if (way == 2) { EXPECT_THROW(barrier.wait(20ms), mp::BrokenBarrierError); }
        EXPECT_EQ(waiting.result(), End::broken);
        EXPECT_EQ(barrier.broken(), way != 1);
        EXPECT_EQ(barrier.n_waiting(), 0u);
        if (way != 1) { EXPECT_THROW(barrier.wait(), mp::BrokenBarrierError); }
        barrier.reset();
        EXPECT_FALSE(barrier.broken());
        mp::Process<End> a(await, barrier), b(await, barrier);
        a.start();
        b.start();
        EXPECT_EQ(await(barrier), End::through);
        EXPECT_EQ(a.result(), End::through);
        EXPECT_EQ(b.result(), End::through);
    }
}

TEST_F(SyncBarrier, runs_its_action_once_before_anybody_goes_on) {
    const mp::Barrier barrier(2);
    int calls = 0;
    std::thread other([&] {
        barrier.wait([&] { ++calls; });
        EXPECT_EQ(calls, 1);
    });
    barrier.wait([&] { ++calls; });
    EXPECT_EQ(calls, 1);
    other.join();
}

TEST_F(SyncBarrier, an_action_that_throws_or_dies_breaks_it) {
    const mp::Barrier barrier(2);
    mp::Process<End> waiting(await, barrier);
    waiting.start();
    ASSERT_TRUE(mp::test::holds_soon([&] { return barrier.n_waiting() == 1; }));
    EXPECT_THROW(barrier.wait([] { throw std::domain_error("no"); }), std::domain_error);
    EXPECT_EQ(waiting.result(), End::broken);
    barrier.reset();
    mp::Process<void> dying(
        [](mp::Barrier mine) {
            mp::test::holds_soon([&] { return mine.n_waiting() == 1; });
            mine.wait([] { std::_Exit(3); });
        },
        barrier);
    dying.start();
    EXPECT_EQ(await(barrier), End::broken);
    dying.join();
    EXPECT_TRUE(barrier.broken());
}

TEST_F(SyncBarrier, one_that_was_aborted_and_reset_during_an_action_lets_nobody_through) {
    const mp::Barrier barrier(2);
    mp::Process<End> waiting(await, barrier);
    waiting.start();
    ASSERT_TRUE(mp::test::holds_soon([&] { return barrier.n_waiting() == 1; }));
    EXPECT_THROW(barrier.wait([&] {
        barrier.abort();
        barrier.reset();
    }),
                 mp::BrokenBarrierError);
    EXPECT_EQ(waiting.result(), End::broken);
    EXPECT_FALSE(barrier.broken());
}

TEST_F(SyncBarrier, a_process_that_died_in_its_action_does_not_spoil_what_is_reset) {
    const mp::Barrier barrier(1);
    mp::Process<void> dying([](mp::Barrier mine) { mine.wait([] { std::_Exit(3); }); }, barrier);
    dying.start();
    dying.join();
    barrier.reset();
    EXPECT_EQ(barrier.wait(), 0u);
}

TEST_F(SyncBarrier, who_comes_during_the_action_of_the_round_before_keeps_its_deadline) {
    const mp::Barrier barrier(1);
    const mp::Event begun, end;
    std::thread actor([&] {
        barrier.wait([&] {
            begun.set();
            end.wait();
        });
    });
    begun.wait();
    EXPECT_THROW(barrier.wait(30ms), mp::BrokenBarrierError);
    end.set();
    actor.join();
    EXPECT_FALSE(barrier.broken());
    EXPECT_EQ(barrier.wait(), 0u);
}

TEST_F(SyncBarrier, says_what_is_wrong_with_its_numbers) {
    EXPECT_THROW(mp::Barrier(0), std::invalid_argument);
    EXPECT_THROW(mp::Barrier(-3), std::invalid_argument);
    EXPECT_THROW(mp::Barrier(65'536), std::invalid_argument);
    const mp::Barrier one(1);
    EXPECT_EQ(one.wait(), 0u);
    const mp::Barrier hurried(2, 10ms);
    EXPECT_THROW(hurried.wait(), mp::BrokenBarrierError);
}

}  // namespace
