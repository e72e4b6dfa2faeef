// Semaphores and events that processes and threads share.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <thread>
#include <tuple>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"

namespace {

using namespace std::chrono_literals;
namespace mp = multiproc;
using Clock = std::chrono::steady_clock;
using SyncSemaphore = mp::test::EachStartMethod;
using SyncEvent = mp::test::EachStartMethod;

// How many are inside at once, at most.
struct Inside {
    std::int32_t now = 0;
    std::int32_t most = 0;
};

void go_through(mp::Semaphore semaphore, mp::Value<Inside> inside, int times) {
    for (int i = 0; i < times; ++i) {
        semaphore.acquire();
        {
            const std::scoped_lock guard(inside.get_lock());
            inside->most = std::max(inside->most, ++inside->now);
        }
        std::this_thread::yield();
        {
            const std::scoped_lock guard(inside.get_lock());
            --inside->now;
        }
        semaphore.release();
    }
}

TEST_F(SyncSemaphore, lets_as_many_in_as_it_has_permits) {
    const mp::Semaphore semaphore(2);
    const mp::Value<Inside> inside;
    std::vector<mp::Process<void>> processes;
    for (int i = 0; i < 3; ++i) {
        processes.emplace_back(go_through, semaphore, inside, 300);
        processes.back().start();
    }
    std::thread thread([&] { go_through(semaphore, inside, 300); });
    go_through(semaphore, inside, 300);
    thread.join();
    for (auto& process : processes) process.result();
    EXPECT_EQ(inside.get().now, 0);
    EXPECT_LE(inside.get().most, 2);
    EXPECT_GE(inside.get().most, 1);
    EXPECT_EQ(semaphore.get_value(), 2u);
}

TEST_F(SyncSemaphore, says_what_is_wrong_with_its_numbers) {
    EXPECT_THROW(mp::Semaphore(-1), std::invalid_argument);
    EXPECT_THROW(mp::Semaphore(std::int64_t{1} << 31), std::invalid_argument);
    const mp::Semaphore none(0);
    EXPECT_FALSE(none.acquire(false));
    EXPECT_FALSE(none.try_acquire());
    EXPECT_THROW(none.release(0), std::invalid_argument);
    EXPECT_THROW(none.release(-2), std::invalid_argument);
    none.release(3);
    EXPECT_EQ(none.get_value(), 3u);
    EXPECT_THROW(none.release(INT32_MAX), std::overflow_error);
    EXPECT_EQ(none.get_value(), 3u);
}

TEST_F(SyncSemaphore, a_bounded_one_refuses_a_release_too_many) {
    const mp::BoundedSemaphore semaphore(2);
    EXPECT_THROW(semaphore.release(), std::logic_error);
    EXPECT_TRUE(semaphore.acquire());
    EXPECT_THROW(semaphore.release(2), std::logic_error);
    EXPECT_EQ(semaphore.get_value(), 1u);
    semaphore.release();
    EXPECT_THROW(semaphore.release(), std::logic_error);
}

TEST_F(SyncSemaphore, its_timeouts_are_right) {
    const mp::Semaphore semaphore(0);
    for (const auto timeout : {15ms, 130ms}) {
        const auto begin = Clock::now();
        EXPECT_FALSE(semaphore.acquire(true, timeout));
        EXPECT_GE(Clock::now() - begin, timeout);
    }
    EXPECT_FALSE(semaphore.try_acquire_for(-1h));
    semaphore.release();
    EXPECT_TRUE(semaphore.try_acquire_for(std::chrono::hours::max()));
}

TEST_F(SyncSemaphore, wakes_those_who_wait_also_after_one_of_them_was_killed) {
    const mp::Semaphore permits(0), started(0), done(0);
    std::vector<mp::Process<void>> processes;
    for (int i = 0; i < 4; ++i) {
        processes.emplace_back(
            [](mp::Semaphore mine, mp::Semaphore begun, mp::Semaphore ended) {
                begun.release();
                mine.acquire();
                ended.release();
            },
            permits, started, done);
        processes.back().start();
    }
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(started.acquire(true, 60s));
    processes[1].kill();
    processes[1].join();
    permits.release(3);
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(done.acquire(true, 60s));
    EXPECT_EQ(permits.get_value(), 0u);
    for (auto& process : processes) process.join();
}

TEST_F(SyncEvent, wakes_all_who_wait) {
    const mp::Event event;
    const mp::Semaphore started(0);
    const auto await = [](mp::Event mine, mp::Semaphore begun) {
        begun.release();
        return mine.wait();
    };
    mp::Pool pool(3);
    std::vector<mp::AsyncResult<bool>> results;
    for (int i = 0; i < 3; ++i) results.push_back(pool.apply_async(await, event, started));
    bool thread_saw = false;
    std::thread thread([&] { thread_saw = await(event, started); });
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(started.acquire(true, 60s));
    EXPECT_FALSE(event.is_set());
    EXPECT_FALSE(results[0].ready());
    event.set();
    thread.join();
    EXPECT_TRUE(thread_saw);
    for (const auto& result : results) EXPECT_TRUE(result.get());
    EXPECT_TRUE(event.is_set());
}

TEST_F(SyncEvent, its_timeouts_are_right) {
    const mp::Event event;
    const auto begin = Clock::now();
    EXPECT_FALSE(event.wait(120ms));
    EXPECT_GE(Clock::now() - begin, 120ms);
    EXPECT_FALSE(event.wait_for(-1s));
    event.set();
    event.set();
    EXPECT_TRUE(event.wait(0s));
    EXPECT_TRUE(event.wait());
    event.clear();
    event.clear();
    EXPECT_FALSE(event.is_set());
}

}  // namespace
