// Locks that processes and threads share.
#include <atomic>
#include <chrono>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "runtime.hpp"
#include "support/atomic_in.hpp"
#include "support/die.hpp"
#include "support/each_start_method.hpp"
#include "support/gate.hpp"

namespace {

using namespace std::chrono_literals;
namespace mp = multiproc;
using Clock = std::chrono::steady_clock;
using SyncLock = mp::test::EachStartMethod;

void add_many(mp::Lock lock, mp::RawValue<std::int64_t> total, int times) {
    for (int i = 0; i < times; ++i) {
        const std::scoped_lock guard(lock);
        *total = *total + 1;
    }
}

TEST_F(SyncLock, excludes_processes_and_threads_from_each_other) {
    mp::Lock lock;
    mp::RawValue<std::int64_t> total(0);
    std::vector<mp::Process<void>> processes;
    for (int i = 0; i < 3; ++i) {
        processes.emplace_back(add_many, lock, total, 20'000);
        processes.back().start();
    }
    std::thread thread([&] { add_many(lock, total, 20'000); });
    add_many(lock, total, 20'000);
    thread.join();
    for (auto& process : processes) process.result();
    EXPECT_EQ(*total, 5 * 20'000);
    EXPECT_FALSE(lock.locked());
    EXPECT_FALSE(lock.owner_died());
}

TEST_F(SyncLock, goes_with_tasks_of_a_pool_in_containers_and_comes_back) {
    mp::Pool pool(2);
    const mp::Lock lock;
    mp::RawValue<std::int64_t> total(0);
    std::vector<std::tuple<mp::Lock, mp::RawValue<std::int64_t>, int>> items(10, {lock, total, 500});
    pool.starmap(add_many, items);
    EXPECT_EQ(*total, 5'000);
    const auto echoed = pool.apply(
        [](std::vector<mp::Lock> locks) {
            locks.emplace_back();
            return locks;
        },
        std::vector<mp::Lock>{lock});
    ASSERT_EQ(echoed.size(), 2u);
    EXPECT_EQ(echoed[0], lock);
    EXPECT_NE(echoed[1], lock);
    const std::scoped_lock both(echoed[0], echoed[1]);
    EXPECT_TRUE(lock.locked());
}

TEST_F(SyncLock, is_not_taken_twice_and_given_up_by_its_owner_only) {
    const mp::Lock lock;
    EXPECT_THROW(lock.unlock(), std::logic_error);
    lock.lock();
    EXPECT_FALSE(lock.try_lock());
    EXPECT_FALSE(lock.try_lock_for(-1s));
    EXPECT_THROW(lock.lock(), std::system_error);
    std::thread([&] {
        EXPECT_FALSE(lock.acquire(false));
        EXPECT_THROW(lock.release(), std::logic_error);
    }).join();
    mp::Process foreign([](mp::Lock held) { held.unlock(); }, lock);
    foreign.start();
    EXPECT_THROW(foreign.result(), std::logic_error);
    EXPECT_TRUE(lock.locked());
    lock.unlock();
    EXPECT_FALSE(lock.locked());
    EXPECT_THROW(lock.make_consistent(), std::logic_error);
}

TEST_F(SyncLock, a_recursive_one_counts) {
    const mp::RLock lock;
    lock.lock();
    EXPECT_TRUE(lock.try_lock());
    lock.lock();
    const auto can_take = [&] {
        bool taken = false;
        std::thread([&] {
            taken = lock.try_lock();
            if (taken) lock.unlock();
        }).join();
        return taken;
    };
    lock.unlock();
    lock.unlock();
    EXPECT_FALSE(can_take());
    lock.unlock();
    EXPECT_TRUE(can_take());
    EXPECT_THROW(lock.unlock(), std::logic_error);
}

TEST_F(SyncLock, its_timeouts_are_right) {
    const mp::Lock lock;
    lock.lock();
    std::thread([&] {
        for (const auto timeout : {20ms, 120ms}) {
            const auto begin = Clock::now();
            EXPECT_FALSE(lock.try_lock_for(timeout));
            EXPECT_GE(Clock::now() - begin, timeout);
        }
        EXPECT_FALSE(lock.try_lock_until(std::chrono::system_clock::now() + 30ms));
        EXPECT_FALSE(lock.acquire(true, 1ms));
    }).join();
    lock.unlock();
    EXPECT_TRUE(lock.try_lock_for(std::chrono::hours::max()));
    lock.unlock();
}

void take_and_die(mp::Lock lock) {
    lock.lock();
    mp::test::die(mp::test::Death::kill);
}

TEST_F(SyncLock, outlives_its_owner) {
    mp::Lock lock;
    for (int i = 0; i < 3; ++i) {
        mp::Process owner(take_and_die, lock);
        owner.start();
        owner.join();
        if (i == 0) {
            EXPECT_TRUE(lock.try_lock());
        } else {
            lock.lock();
        }
        EXPECT_TRUE(lock.owner_died());
        lock.unlock();
        EXPECT_TRUE(lock.owner_died());
        lock.lock();
        lock.make_consistent();
        EXPECT_FALSE(lock.owner_died());
        lock.unlock();
    }
}

void take_when_free(mp::Lock lock, mp::RawValue<int> arrived) {
    ++*arrived;
    const std::scoped_lock guard(lock);
}

TEST_F(SyncLock, those_who_wait_get_it_when_its_owner_dies) {
    mp::Lock lock;
    mp::test::Gate gate;
    mp::RawValue<int> holds(0);
    mp::Process owner(
        [](mp::Lock held, mp::RawValue<int> told, std::string path) {
            held.lock();
            *told = 1;
            mp::test::pass_gate(path, 0);
            mp::test::die(mp::test::Death::kill);
        },
        lock, holds, gate.path());
    owner.start();
    ASSERT_TRUE(mp::test::holds_soon([&] { return mp::test::atomic_in(*holds).load() == 1; }));
    std::vector<std::thread> threads;
    std::atomic<int> taken{0};
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            const std::scoped_lock guard(lock);
            ++taken;
        });
    }
    gate.open();
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(taken, 4);
    EXPECT_TRUE(lock.owner_died());
}

TEST_F(SyncLock, a_waiter_that_is_killed_harms_nobody) {
    mp::Lock lock;
    lock.lock();
    std::vector<mp::Process<void>> waiters;
    mp::RawValue<int> arrived(0);
    for (int i = 0; i < 3; ++i) {
        waiters.emplace_back(take_when_free, lock, arrived);
        waiters.back().start();
        ASSERT_TRUE(mp::test::holds_soon([&] { return mp::test::atomic_in(*arrived).load() == i + 1; }));
    }
    waiters[0].kill();
    waiters[2].kill();
    waiters[0].join();
    waiters[2].join();
    lock.unlock();
    waiters[1].result();
    EXPECT_FALSE(lock.locked());
    EXPECT_FALSE(lock.owner_died());
}

TEST_F(SyncLock, handed_on_to_grandchildren) {
    mp::Lock lock;
    mp::RawValue<std::int64_t> total(0);
    mp::Process child(
        [](mp::Lock mine, mp::RawValue<std::int64_t> sum) {
            mp::Process grandchild(add_many, mine, sum, 1'000);
            grandchild.start();
            add_many(mine, sum, 1'000);
            grandchild.result();
        },
        lock, total);
    child.start();
    child.result();
    EXPECT_EQ(*total, 2'000);
}

TEST_F(SyncLock, a_worker_lets_go_of_what_it_returned) {
    mp::Arena& arena = mp::Runtime::get().arena();
    const std::size_t before = arena.object_count();
    mp::Pool pool(1);
    {
        EXPECT_EQ(pool.apply([] { return mp::RawArray<char>(1'000'000); }).size(), 1'000'000u);
    }
    EXPECT_TRUE(mp::test::holds_soon([&] { return arena.object_count() == before; }));
}

TEST_F(SyncLock, one_that_a_process_made_and_returned_outlives_it) {
    mp::Process maker([] {
        const mp::Lock lock;
        lock.lock();
        return std::pair(lock, mp::RawArray<int>{1, 2, 3});
    });
    maker.start();
    maker.join();
    const auto [lock, numbers] = maker.result();
    maker.close();
    EXPECT_TRUE(lock.locked());
    lock.lock();
    EXPECT_TRUE(lock.owner_died());
    EXPECT_EQ(std::vector<int>(numbers.begin(), numbers.end()), (std::vector<int>{1, 2, 3}));
}

}  // namespace
