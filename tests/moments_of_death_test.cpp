// Moments at which a process may die that no other test has, and what the others see: the rows of docs/reliability.md.
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "support/die.hpp"
#include "support/each_start_method.hpp"
#include "support/gate.hpp"

namespace {

using namespace std::chrono_literals;
namespace mp = multiproc;
using mp::test::die, mp::test::Death, mp::test::holds_soon;
using MomentsOfDeath = mp::test::EachStartMethod;

void run_to_death(mp::Process<void>& process) {
    process.start();
    process.join();
    EXPECT_TRUE(mp::test::is_how(*process.exit_status(), Death::kill)) << to_string(*process.exit_status());
}

int return_and_die() {
    mp::at_worker_exit([] { die(Death::kill); });
    return 17;
}

TEST_F(MomentsOfDeath, after_its_function_has_returned_a_process_has_its_result) {
    mp::Process process(return_and_die);
    process.start();
    EXPECT_EQ(process.result(), 17);
    EXPECT_TRUE(mp::test::is_how(*process.exit_status(), Death::kill));
}

TEST_F(MomentsOfDeath, while_a_worker_leaves_its_results_are_there) {
    mp::Pool pool({.workers = 2, .max_tasks_per_worker = 3});
    const std::vector<int> results = pool.map([](int) { return return_and_die(); }, std::vector<int>(20), 1);
    EXPECT_EQ(results, std::vector<int>(20, 17));
    pool.close();
    pool.join();
}

TEST_F(MomentsOfDeath, with_a_permit_of_a_semaphore_the_permit_is_gone) {
    const mp::Semaphore permits(2);
    mp::Process<void> process(
        [](mp::Semaphore mine) {
            mine.acquire();
            die(Death::kill);
        },
        permits);
    run_to_death(process);
    EXPECT_TRUE(permits.try_acquire());
    EXPECT_FALSE(permits.try_acquire_for(120ms));
    permits.release();
}

TEST_F(MomentsOfDeath, while_it_waits_at_a_barrier_it_has_come) {
    const mp::Barrier three(3);
    mp::Process<void> process([](mp::Barrier mine) { mine.wait(); }, three);
    process.start();
    ASSERT_TRUE(holds_soon([&] { return three.n_waiting() == 1; }));
    process.kill();
    process.join();
    EXPECT_EQ(three.n_waiting(), 1u);
    std::thread second([&] { three.wait(60s); });
    EXPECT_NO_THROW(three.wait(60s));
    second.join();
}

TEST_F(MomentsOfDeath, before_task_done_an_item_stays_unfinished) {
    const mp::JoinableQueue<int> queue;
    queue.put(1);
    mp::Process<void> process(
        [](mp::JoinableQueue<int> mine) {
            (void)mine.get();
            die(Death::kill);
        },
        queue);
    run_to_death(process);
    EXPECT_FALSE(queue.join_for(120ms));
    queue.task_done();  // by whoever knows
    EXPECT_TRUE(queue.join_for(60s));
}

TEST_F(MomentsOfDeath, of_a_parent_in_the_middle_its_locks_go_on_to_those_above) {
    const mp::Lock lock;
    const mp::Event is_locked;
    mp::Process middle(
        [](mp::Lock mine, mp::Event locked) {
            mp::Process<void> below(
                [](mp::Lock its, mp::Event event) {
                    its.lock();
                    event.set();
                    mp::Event().wait();  // for ever
                },
                mine, locked);
            below.start();
            below.join();
        },
        lock, is_locked);
    middle.start();
    is_locked.wait();
    EXPECT_FALSE(lock.try_lock());
    middle.kill();
    middle.join();
    EXPECT_TRUE(lock.try_lock_for(60s));
    EXPECT_TRUE(lock.owner_died());
    lock.unlock();
}

}  // namespace
