// The locks, queues and their like of a manager.
#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "support/die.hpp"
#include "support/each_start_method.hpp"
#include "support/gate.hpp"

namespace {

using namespace std::chrono_literals;
namespace mp = multiproc;
using ManagerSync = mp::test::EachStartMethod;

void add_under_lock(mp::LockProxy lock, mp::ValueProxy<int> total, int times) {
    for (int i = 0; i < times; ++i) {
        const std::scoped_lock guard(lock);
        total.set(total.get() + 1);
    }
}

TEST_F(ManagerSync, a_lock_excludes_processes_and_threads) {
    const mp::Manager manager;
    const auto lock = manager.lock();
    const auto total = manager.value(0);
    mp::Process process(add_under_lock, lock, total, 100);
    process.start();
    std::thread thread([&] { add_under_lock(lock, total, 100); });
    add_under_lock(lock, total, 100);
    thread.join();
    process.result();
    EXPECT_EQ(total.get(), 300);
}

TEST_F(ManagerSync, foreign_and_repeated_locking_is_an_error) {
    const mp::Manager manager;
    const auto lock = manager.lock();
    EXPECT_THROW(lock.release(), std::logic_error);
    lock.lock();
    EXPECT_THROW(lock.lock(), std::system_error);
    EXPECT_FALSE(lock.try_lock());
    std::thread([&] { EXPECT_THROW(lock.release(), std::logic_error); }).join();
    lock.unlock();
    const auto recursive = manager.rlock();
    recursive.lock();
    recursive.lock();
    recursive.unlock();
    std::thread([&] { EXPECT_FALSE(recursive.try_lock_for(20ms)); }).join();
    recursive.unlock();
    EXPECT_THROW(recursive.unlock(), std::logic_error);
}

TEST_F(ManagerSync, a_thread_that_ends_gives_its_locks_back) {
    const mp::Manager manager;
    const auto lock = manager.lock();
    std::thread([&] { lock.lock(); }).join();
    EXPECT_TRUE(lock.try_lock_for(30s));
}

TEST_F(ManagerSync, a_guard_outlives_the_manager_of_its_lock) {
    mp::Manager manager;
    const mp::LockProxy lock = manager.lock();
    const mp::ConditionProxy condition = manager.condition();
    EXPECT_THROW(
        {
            const std::scoped_lock guards(lock, condition);
            mp::test::kill_process(manager.pid());
            condition.wait();
        },
        mp::ClosedError);
    EXPECT_THROW(lock.release(), mp::ClosedError);
    EXPECT_NO_THROW(condition.unlock());
}

TEST_F(ManagerSync, semaphores_count) {
    const mp::Manager manager;
    const auto semaphore = manager.semaphore(2);
    EXPECT_TRUE(semaphore.acquire());
    EXPECT_TRUE(semaphore.try_acquire());
    EXPECT_FALSE(semaphore.try_acquire_for(20ms));
    semaphore.release(3);
    EXPECT_EQ(semaphore.get_value(), 3u);
    const auto bounded = manager.bounded_semaphore(1);
    EXPECT_THROW(bounded.release(), std::logic_error);
    EXPECT_TRUE(bounded.acquire());
    bounded.release();
    EXPECT_THROW(bounded.release(0), std::invalid_argument);
}

TEST_F(ManagerSync, an_event_wakes_all) {
    const mp::Manager manager;
    const auto event = manager.event();
    EXPECT_FALSE(event.wait(20ms));
    mp::Process process([](mp::EventProxy mine) { return mine.wait(); }, event);
    process.start();
    std::thread thread([&] { EXPECT_TRUE(event.wait()); });
    event.set();
    EXPECT_TRUE(process.result());
    thread.join();
    event.clear();
    EXPECT_FALSE(event.is_set());
}

TEST_F(ManagerSync, notify_wakes_so_many_and_none_that_gave_up_or_died) {
    const mp::Manager manager;
    const auto condition = manager.condition();
    const auto woken = manager.value(0);
    const auto waiting = manager.value(0);
    const auto wait = [](mp::ConditionProxy mine, mp::ValueProxy<int> counter, mp::ValueProxy<int> ready) {
        const std::scoped_lock guard(mine);
        ready.set(ready.get() + 1);
        mine.wait();
        counter.set(counter.get() + 1);
    };
    {
        const std::scoped_lock guard(condition);
        EXPECT_FALSE(condition.wait(20ms));  // gives up
    }
    std::vector<mp::Process<void>> processes;
    for (int i = 0; i < 4; ++i) processes.emplace_back(wait, condition, woken, waiting).start();
    const auto await_counter = [&](const mp::ValueProxy<int>& counter, int value) {
        for (int i = 0; i < 60'000; ++i) {
            {
                const std::scoped_lock guard(condition);
                if (counter.get() == value) return true;
            }
            std::this_thread::sleep_for(1ms);
        }
        return false;
    };
    ASSERT_TRUE(await_counter(waiting, 4));
    processes[0].kill();
    processes[0].join();
    const auto notify = [&](int count) {
        const std::scoped_lock guard(condition);
        condition.notify(count);
    };
    notify(2);
    EXPECT_TRUE(await_counter(woken, 2));
    notify(1);
    EXPECT_TRUE(await_counter(woken, 3));
    for (std::size_t i = 1; i < processes.size(); ++i) processes[i].result();
    EXPECT_THROW(condition.notify(), std::logic_error);
    EXPECT_THROW(condition.wait(), std::logic_error);
}

TEST_F(ManagerSync, a_condition_goes_with_a_given_lock) {
    const mp::Manager manager;
    const auto lock = manager.lock();
    const auto condition = manager.condition(lock);
    const auto ready = manager.value(false);
    mp::Process process(
        [](mp::LockProxy mine, mp::ConditionProxy changed, mp::ValueProxy<bool> flag) {
            const std::scoped_lock guard(mine);
            flag.set(true);
            changed.notify_all();
        },
        lock, condition, ready);
    {
        const std::scoped_lock guard(condition);
        EXPECT_TRUE(lock.locked());
        process.start();
        EXPECT_TRUE(condition.wait_for([&] { return ready.get(); }, 60s));
        EXPECT_FALSE(condition.wait_for([] { return false; }, 20ms));
    }
    process.result();
    EXPECT_FALSE(lock.locked());
}

TEST_F(ManagerSync, a_barrier_lets_all_through_at_once_round_after_round) {
    const mp::Manager manager;
    const auto barrier = manager.barrier(3);
    const auto rounds = [](mp::BarrierProxy mine) {
        std::uint32_t sum = 0;
        for (int i = 0; i < 30; ++i) sum += mine.wait();
        return sum;
    };
    mp::Process process(rounds, barrier);
    process.start();
    std::atomic<std::uint32_t> sum{0};
    std::thread thread([&] { sum += rounds(barrier); });
    sum += rounds(barrier);
    thread.join();
    EXPECT_EQ(sum + process.result(), 30u * 3);
}

TEST_F(ManagerSync, a_broken_barrier_throws_until_it_is_reset) {
    const mp::Manager manager;
    const auto barrier = manager.barrier(2);
    EXPECT_THROW(barrier.wait(20ms), mp::BrokenBarrierError);
    EXPECT_TRUE(barrier.broken());
    EXPECT_THROW(barrier.wait(), mp::BrokenBarrierError);
    barrier.reset();
    EXPECT_FALSE(barrier.broken());
    std::thread waiting([&] { EXPECT_THROW(barrier.wait(), mp::BrokenBarrierError); });
    while (barrier.n_waiting() == 0) std::this_thread::yield();
    barrier.abort();
    waiting.join();
    barrier.reset();
    // One who is killed while it waits will not be there.
    const mp::test::Gate gate;
    mp::Process process(
        [](mp::BarrierProxy mine, std::string path) {
            mp::test::open_gate(path);
            mine.wait();
        },
        barrier, gate.path());
    process.start();
    ASSERT_TRUE(gate.await());
    while (barrier.n_waiting() == 0) std::this_thread::yield();
    process.kill();
    process.join();
    for (int i = 0; i < 3000 && !barrier.broken(); ++i) std::this_thread::sleep_for(10ms);
    EXPECT_TRUE(barrier.broken());
    EXPECT_EQ(barrier.parties(), 2u);
}

TEST_F(ManagerSync, a_queue_waits_for_items_for_room_and_until_all_is_done) {
    const mp::Manager manager;
    const auto queue = manager.queue<std::string>(2);
    EXPECT_THROW(queue.get(false), mp::queue::Empty);
    EXPECT_EQ(queue.try_get_for(20ms), std::nullopt);
    queue.put("a");
    queue.put("b");
    EXPECT_TRUE(queue.full());
    EXPECT_THROW(queue.put_nowait("c"), mp::queue::Full);
    EXPECT_FALSE(queue.try_put_for("c", 20ms));
    mp::Process process(
        [](mp::QueueProxy<std::string> mine) {
            std::string all;
            for (int i = 0; i < 3; ++i) {
                all += mine.get();
                mine.task_done();
            }
            return all;
        },
        queue);
    process.start();
    queue.put("c");
    queue.join();
    EXPECT_EQ(process.result(), "abc");
    EXPECT_TRUE(queue.empty());
    EXPECT_TRUE(queue.join_for(0s));
    EXPECT_THROW(queue.task_done(), std::logic_error);
}

TEST_F(ManagerSync, a_client_killed_while_it_waits_takes_no_item_with_it) {
    const mp::Manager manager;
    const auto queue = manager.queue<int>();
    const mp::test::Gate gate;
    mp::Process process(
        [](mp::QueueProxy<int> mine, std::string path) {
            mp::test::open_gate(path);
            (void)mine.get();
        },
        queue, gate.path());
    process.start();
    ASSERT_TRUE(gate.await());
    process.kill();
    process.join();
    queue.put(7);
    EXPECT_EQ(queue.get(true, 30s), 7);
}

}  // namespace
