// The time limits of everything that waits: none is over early, and none is late by more than 10 ms.
//
// How late a thread comes back on a busy machine is up to that machine. So each wait is tried until it comes in time
// once; what is rounded up to a tick, or looks again every 50 ms only, never does.
#include <chrono>
#include <mutex>
#include <ranges>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"
#include "support/gate.hpp"

namespace {

using namespace std::chrono_literals;
namespace mp = multiproc;
using Clock = std::chrono::steady_clock;
using SyncTimeouts = mp::test::EachStartMethod;

constexpr auto limits = {15ms, 63ms};
constexpr auto most = 10ms;

// `wait` waits as long as it is told for what does not come.
template <class Wait>
void expect_in_time(const char* name, Wait wait) {
    for (const std::chrono::milliseconds limit : limits) {
        const auto give_up = Clock::now() + 60s;
        std::chrono::nanoseconds late{};
        do {
            const auto begin = Clock::now();
            wait(limit);
            late = Clock::now() - begin - limit;
            ASSERT_GE(late.count(), 0) << name << " was over early";
        } while (late > most && Clock::now() < give_up);
        EXPECT_LE(late, most) << name << " was never in time";
    }
}

TEST_F(SyncTimeouts, of_locks_semaphores_and_events_are_right_within_10_ms) {
    const mp::Lock lock;
    const mp::RLock recursive;
    const mp::Event locked, done;
    mp::Process owner(
        [](mp::Lock mine, mp::RLock my_recursive, mp::Event is_locked, mp::Event is_done) {
            mine.lock();
            my_recursive.lock();
            is_locked.set();
            is_done.wait();
        },
        lock, recursive, locked, done);
    owner.start();
    locked.wait();
    expect_in_time("Lock", [&](auto limit) { EXPECT_FALSE(lock.try_lock_for(limit)); });
    expect_in_time("RLock", [&](auto limit) { EXPECT_FALSE(recursive.try_lock_for(limit)); });
    const mp::Semaphore none(0);
    expect_in_time("Semaphore", [&](auto limit) { EXPECT_FALSE(none.try_acquire_for(limit)); });
    const mp::Event never;
    expect_in_time("Event", [&](auto limit) { EXPECT_FALSE(never.wait_for(limit)); });
    done.set();
    owner.result();
}

TEST_F(SyncTimeouts, of_conditions_and_barriers_are_right_within_10_ms) {
    const mp::Condition changed;
    const std::scoped_lock guard(changed);
    expect_in_time("Condition", [&](auto limit) { EXPECT_FALSE(changed.wait(limit)); });
    expect_in_time("Condition with a predicate",
                   [&](auto limit) { EXPECT_FALSE(changed.wait_for([] { return false; }, limit)); });
    const mp::Barrier two(2);
    expect_in_time("Barrier", [&](auto limit) {
        EXPECT_THROW(two.wait(limit), mp::BrokenBarrierError);
        two.reset();
    });
}

TEST_F(SyncTimeouts, of_queues_and_connections_are_right_within_10_ms) {
    const mp::Queue<int> full(1), empty;
    full.put(1);
    expect_in_time("put", [&](auto limit) { EXPECT_THROW(full.put(2, true, limit), mp::queue::Full); });
    expect_in_time("get", [&](auto limit) { EXPECT_THROW((void)empty.get(true, limit), mp::queue::Empty); });
    const mp::JoinableQueue<int> unfinished;
    unfinished.put(1);
    expect_in_time("join", [&](auto limit) { EXPECT_FALSE(unfinished.join_for(limit)); });
    const auto [here, there] = mp::pipe<int>();
    expect_in_time("poll", [&](auto limit) { EXPECT_FALSE(here.poll(limit)); });
    expect_in_time("recv", [&](auto limit) { EXPECT_FALSE(here.recv_for(limit)); });
    expect_in_time("wait", [&](auto limit) { EXPECT_TRUE(mp::wait({here, empty}, limit).empty()); });
}

TEST_F(SyncTimeouts, of_processes_and_results_are_right_within_10_ms) {
    const mp::test::Gate gate;
    mp::Process process(mp::test::pass_gate, gate.path(), 1);
    process.start();
    expect_in_time("Process", [&](auto limit) { EXPECT_FALSE(process.join_for(limit)); });
    expect_in_time("sentinel", [&](auto limit) { EXPECT_TRUE(mp::wait({process.sentinel()}, limit).empty()); });
    mp::Pool pool(1);
    const mp::AsyncResult<int> result = pool.apply_async(mp::test::pass_gate, gate.path(), 2);
    expect_in_time("a result", [&](auto limit) { EXPECT_THROW((void)result.get_for(limit), mp::TimeoutError); });
    auto results = pool.imap(mp::partial(mp::test::pass_gate, gate.path()), std::views::iota(0, 2));
    expect_in_time("imap", [&](auto limit) { EXPECT_THROW((void)results.next_for(limit), mp::TimeoutError); });
    gate.open();
    EXPECT_EQ(result.get(), 2);
    EXPECT_EQ(process.result(), 1);
}

}  // namespace
