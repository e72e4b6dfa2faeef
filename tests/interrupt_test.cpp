// Ctrl+C with an InterruptScope: every call that waits throws, and what it waited for is as it was.
#include <chrono>
#include <csignal>
#include <cstdint>
#include <optional>
#include <ranges>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"
#include "support/gate.hpp"

namespace {

namespace mp = multiproc;
using namespace std::chrono_literals;

// What the child, which waits for something, and the test, which interrupts it, tell each other.
struct Stage {
    mp::Event is_ready, was_interrupted;
};

// Calls `wait`, which must be interrupted.
template <class Wait>
void expect_interruption(const Stage& stage, Wait wait) {
    const mp::InterruptScope scope;
    stage.is_ready.set();
    try {
        wait();
    } catch (const mp::Interrupted&) {
        stage.was_interrupted.set();
        return;
    }
    throw std::runtime_error("the call was not interrupted");
}

class Interrupt : public mp::test::EachStartMethod {
protected:
    // Runs `f(stage, args...)` in a child, and interrupts it once it is ready. `meanwhile` is called when it has noticed;
    // then its result is returned.
    template <class F, class Meanwhile, class... Args>
    auto interrupt(F f, Meanwhile meanwhile, Args... args) {
        const Stage stage;
        mp::Process child(f, stage, args...);
        child.start();
        EXPECT_TRUE(stage.is_ready.wait_for(1min));
        child.interrupt();
        EXPECT_TRUE(stage.was_interrupted.wait_for(1min));
        meanwhile();
        return child.result();
    }
};

void nothing() {}

void get_from(Stage stage, mp::Queue<int> queue, mp::Queue<int> answer) {
    expect_interruption(stage, [&] { queue.get(); });
    answer.put(queue.get() + 1);
}
TEST_F(Interrupt, get_throws_and_takes_nothing) {
    const mp::Queue<int> queue, answer;
    interrupt(
        get_from, [&] { queue.put(41); }, queue, answer);
    EXPECT_EQ(answer.get(), 42);
}

void put_into(Stage stage, mp::Queue<int> queue) {
    expect_interruption(stage, [&] { queue.put(2); });
    queue.put(3);
}
TEST_F(Interrupt, put_into_a_full_queue_throws_and_puts_nothing) {
    const mp::Queue<int> queue(1);
    queue.put(1);
    interrupt(
        put_into, [&] { EXPECT_EQ(queue.get(), 1); }, queue);
    EXPECT_EQ(queue.get(), 3);
    EXPECT_TRUE(queue.empty());
}

void join_queue(Stage stage, mp::JoinableQueue<int> queue) {
    expect_interruption(stage, [&] { queue.join(); });
    queue.task_done();
    queue.join();
}
TEST_F(Interrupt, join_of_a_queue_throws) {
    const mp::JoinableQueue<int> queue;
    queue.put(1);
    queue.get();
    interrupt(join_queue, nothing, queue);
}

void receive(Stage stage, mp::Connection<int, int> end) {
    expect_interruption(stage, [&] { end.recv(); });
    end.send(end.recv() + 1);
}
TEST_F(Interrupt, recv_throws_and_loses_no_message) {
    const auto [here, there] = mp::pipe<int>();
    interrupt(
        receive, [&] { here.send(41); }, there);
    EXPECT_EQ(here.recv(), 42);
}

void wait_for_several(Stage stage, mp::Queue<int> queue, mp::Connection<int, int> end) {
    expect_interruption(stage, [&] { mp::wait({mp::Waitable(queue), mp::Waitable(end)}); });
}
TEST_F(Interrupt, wait_throws) {
    const auto [here, there] = mp::pipe<int>();
    interrupt(wait_for_several, nothing, mp::Queue<int>(), there);
}

template <class Lock>
void lock_held_elsewhere(Stage stage, Lock lock, mp::Event is_free) {
    expect_interruption(stage, [&] { lock.lock(); });
    is_free.wait();
    lock.lock();
    lock.unlock();
}
TEST_F(Interrupt, lock_throws_and_the_lock_is_not_held) {
    mp::Lock lock;
    mp::RLock recursive;
    const mp::Event is_free, is_free_too;
    lock.lock();
    recursive.lock();
    interrupt(
        lock_held_elsewhere<mp::Lock>, [&] { lock.unlock(), is_free.set(); }, lock, is_free);
    interrupt(
        lock_held_elsewhere<mp::RLock>, [&] { recursive.unlock(), is_free_too.set(); }, recursive, is_free_too);
    EXPECT_TRUE(lock.try_lock());
    EXPECT_TRUE(recursive.try_lock());
    lock.unlock();
    recursive.unlock();
}

void acquire(Stage stage, mp::Semaphore semaphore) {
    expect_interruption(stage, [&] { semaphore.acquire(); });
    semaphore.acquire();
}
TEST_F(Interrupt, acquire_of_a_semaphore_throws_and_takes_no_permit) {
    const mp::Semaphore semaphore(0);
    interrupt(
        acquire, [&] { semaphore.release(); }, semaphore);
    EXPECT_EQ(semaphore.get_value(), 0u);
}

void await_event(Stage stage, mp::Event event) {
    expect_interruption(stage, [&] { event.wait(); });
}
TEST_F(Interrupt, wait_for_an_event_throws) { interrupt(await_event, nothing, mp::Event()); }

void await_condition(Stage stage, mp::Condition condition) {
    const std::lock_guard lock(condition);
    expect_interruption(stage, [&] { condition.wait(); });
    condition.notify_all();  // throws unless this thread holds the lock again
}
TEST_F(Interrupt, wait_for_a_condition_throws_with_its_lock_held_again) {
    const mp::Condition condition;
    interrupt(await_condition, nothing, condition);
}

void await_barrier(Stage stage, mp::Barrier barrier) {
    expect_interruption(stage, [&] { barrier.wait(); });
}
TEST_F(Interrupt, wait_at_a_barrier_throws_and_breaks_it_for_the_others) {
    const mp::Barrier barrier(3);
    std::thread other([&] { EXPECT_THROW(barrier.wait(), mp::BrokenBarrierError); });
    while (barrier.n_waiting() != 1) std::this_thread::yield();
    interrupt(await_barrier, nothing, barrier);
    other.join();
    EXPECT_TRUE(barrier.broken());
}

void join_process(Stage stage, mp::Event end) {
    mp::Process child([](mp::Event until) { until.wait(); }, end);
    child.start();
    expect_interruption(stage, [&] { child.join(); });
    stage.is_ready.clear();
    if (!child.is_alive()) throw std::runtime_error("it has ended");
    end.set();
    child.result();
}
TEST_F(Interrupt, join_throws_and_the_process_goes_on) { interrupt(join_process, nothing, mp::Event()); }

int wait_for(mp::Event event, int number) {
    event.wait();
    return number;
}

void map_in_pool(Stage stage, mp::Event never) {
    mp::Pool pool(2);
    pool.start();
    const std::vector<std::uint32_t> pids = pool.worker_pids();
    expect_interruption(stage, [&] { pool.map(mp::partial(wait_for, never), std::views::iota(0, 100), 1); });
    // Its tasks are not in the way of the next.
    if (pool.map([](int n) { return 2 * n; }, std::vector{1, 2, 3}) != std::vector{2, 4, 6})
        throw std::runtime_error("wrong results");
    if (pool.worker_pids().size() != 2) throw std::runtime_error("not all workers are there");
}
TEST_F(Interrupt, map_throws_its_tasks_are_cancelled_and_the_pool_works_on) {
    interrupt(map_in_pool, nothing, mp::Event());
}

void apply_in_pool(Stage stage, mp::Event never) {
    mp::Pool pool(1);
    expect_interruption(stage, [&] { pool.apply(wait_for, never, 1); });
    if (pool.apply([](int n) { return 2 * n; }, 21) != 42) throw std::runtime_error("wrong result");
}
TEST_F(Interrupt, apply_throws_and_its_task_is_cancelled) { interrupt(apply_in_pool, nothing, mp::Event()); }

int get_result(Stage stage, mp::Event gate) {
    mp::Pool pool(1);
    const mp::AsyncResult<int> result = pool.apply_async(wait_for, gate, 42);
    expect_interruption(stage, [&] { result.get(); });
    gate.set();
    return result.get();
}
TEST_F(Interrupt, get_of_a_result_throws_and_the_task_goes_on) {
    EXPECT_EQ(interrupt(get_result, nothing, mp::Event()), 42);
}

int read_imap(Stage stage, mp::Event gate) {
    mp::Pool pool(2);
    auto results = pool.imap(mp::partial(wait_for, gate), std::views::iota(0, 10));
    expect_interruption(stage, [&] {
        for (int number : results) static_cast<void>(number);
    });
    gate.set();
    int sum = 0;
    for (int number : results) sum += number;
    return sum;
}
TEST_F(Interrupt, imap_throws_and_can_be_read_on) { EXPECT_EQ(interrupt(read_imap, nothing, mp::Event()), 45); }

int read_as_completed(Stage stage, mp::Event gate) {
    mp::Pool pool(2);
    const std::vector<mp::AsyncResult<int>> results{pool.apply_async(wait_for, gate, 1),
                                                    pool.apply_async(wait_for, gate, 2)};
    auto completed = mp::as_completed(results);
    int sum = 0;
    const auto read = [&] {
        for (const auto& result : completed) sum += result.get();
    };
    expect_interruption(stage, read);
    gate.set();
    read();
    return sum;
}
TEST_F(Interrupt, as_completed_throws_and_can_be_read_on) {
    EXPECT_EQ(interrupt(read_as_completed, nothing, mp::Event()), 3);
}

void join_pool(Stage stage, mp::Event gate) {
    mp::Pool pool(1);
    const auto result = pool.apply_async(wait_for, gate, 1);
    pool.close();
    expect_interruption(stage, [&] { pool.join(); });
    gate.set();
    pool.join();
    result.get();
}
TEST_F(Interrupt, join_of_a_pool_throws_and_can_be_repeated) { interrupt(join_pool, nothing, mp::Event()); }

// ---- a manager's objects: the server gives the call up ----

void acquire_managed(Stage stage, mp::LockProxy mine, mp::LockProxy others) {
    mine.acquire();
    expect_interruption(stage, [&] { others.acquire(); });
    others.acquire();
    others.release();
    mine.release();  // it is held still
}
TEST_F(Interrupt, acquire_of_a_managed_lock_throws_and_the_client_keeps_what_it_holds) {
    allow_sleepers(4);
    const mp::Manager manager;
    const auto mine = manager.lock(), others = manager.lock();
    others.acquire();
    interrupt(
        acquire_managed, [&] { others.release(); }, mine, others);
    EXPECT_TRUE(mine.acquire(false));
    EXPECT_TRUE(others.acquire(false));
}

void wait_managed(Stage stage, mp::ConditionProxy condition, mp::QueueProxy<int> queue) {
    condition.acquire();
    expect_interruption(stage, [&] { condition.wait(); });
    condition.notify_all();  // its lock is held again
    condition.release();
    stage.is_ready.clear();
    if (queue.get() != 42) throw std::runtime_error("wrong item");
}
TEST_F(Interrupt, wait_for_a_managed_condition_throws_with_its_lock_held_again) {
    allow_sleepers(4);
    const mp::Manager manager;
    const auto queue = manager.queue<int>();
    interrupt(
        wait_managed, [&] { queue.put(42); }, manager.condition(), queue);
}

// ---- what Ctrl+C does besides ----

void note_and_wait(Stage stage) {
    const mp::InterruptScope scope;
    stage.is_ready.set();
    while (!mp::InterruptScope::is_pending()) std::this_thread::sleep_for(1ms);
    const mp::InterruptHold hold;
    stage.was_interrupted.set();
    mp::Event().wait();
}
bool is_ctrl_c(const mp::ExitStatus& status) {
    const std::string name = status.kind() == mp::ExitStatus::Kind::signalled ? mp::signal_name(status.number()) : "";
    return name == "SIGINT" || name == "CONTROL_C_EXIT";
}
TEST_F(Interrupt, the_second_one_ends_the_process_at_once) {
    const Stage stage;
    mp::Process child(note_and_wait, stage);
    child.start();
    ASSERT_TRUE(stage.is_ready.wait_for(1min));
    child.interrupt();
    ASSERT_TRUE(stage.was_interrupted.wait_for(1min));
    child.interrupt();
    ASSERT_TRUE(child.join_for(1min));
    EXPECT_TRUE(is_ctrl_c(*child.exit_status())) << mp::to_string(*child.exit_status());
}

void leave_scope_with_one_pending(Stage stage) {
    {
        const mp::InterruptScope scope;
        stage.is_ready.set();
        while (!mp::InterruptScope::is_pending()) std::this_thread::sleep_for(1ms);
    }
    std::this_thread::sleep_for(1min);
}
TEST_F(Interrupt, one_that_nobody_has_thrown_ends_the_process_with_the_scope) {
    const Stage stage;
    mp::Process child(leave_scope_with_one_pending, stage);
    child.start();
    ASSERT_TRUE(stage.is_ready.wait_for(1min));
    child.interrupt();
    ASSERT_TRUE(child.join_for(1min));
    EXPECT_TRUE(is_ctrl_c(*child.exit_status())) << mp::to_string(*child.exit_status());
}

int read_commands(mp::Queue<int> commands, mp::Queue<std::string> prompts) {
    mp::InterruptScope scope;
    for (;;) {
        prompts.put("?");
        try {
            return commands.get();
        } catch (const mp::Interrupted&) {
            scope.rearm();
            prompts.put("interrupted");
        }
    }
}
TEST_F(Interrupt, a_program_can_go_on_and_be_interrupted_again) {
    const mp::Queue<int> commands;
    const mp::Queue<std::string> prompts;
    mp::Process child(read_commands, commands, prompts);
    child.start();
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(prompts.get(), "?");
        child.interrupt();
        EXPECT_EQ(prompts.get(), "interrupted");
    }
    commands.put(5);
    EXPECT_EQ(child.result(), 5);
}

std::string threads_and_scopes(Stage stage, mp::Event go) {
    std::string told;
    const mp::InterruptScope outer;
    std::thread without([&] { told += go.wait() ? "" : "timeout "; });
    {
        const mp::InterruptScope inner;
        stage.is_ready.set();
        try {
            mp::Event().wait();
        } catch (const mp::Interrupted&) { told += "inner "; }
    }
    // It was thrown, once for all scopes of the thread.
    if (mp::InterruptScope::is_pending()) told += "pending ";
    mp::InterruptScope::check();
    stage.was_interrupted.set();
    without.join();
    return told + "over";
}
TEST_F(Interrupt, is_thrown_once_and_only_in_threads_with_a_scope) {
    const mp::Event go;
    EXPECT_EQ(interrupt(
                  threads_and_scopes, [&] { go.set(); }, go),
              "inner over");
}

bool scope_leaves_disposition() {
    const auto mine = +[](int) {};
    std::signal(SIGINT, mine);
    { const mp::InterruptScope scope; }
    return std::signal(SIGINT, SIG_DFL) == mine;
}
TEST_F(Interrupt, what_the_program_does_on_ctrl_c_is_as_before_after_the_scope) {
    mp::Process child(scope_leaves_disposition);
    child.start();
    EXPECT_TRUE(child.result());
}

void ignore(Stage stage, mp::Queue<int> queue) {
    std::signal(SIGINT, SIG_IGN);
    const mp::InterruptScope scope;
    stage.is_ready.set();
    if (queue.get() != 1 || queue.get() != 2) throw std::runtime_error("wrong items");
}
TEST_F(Interrupt, a_program_that_ignores_it_goes_on_ignoring_it) {
    const Stage stage;
    const mp::Queue<int> queue;
    mp::Process child(ignore, stage, queue);
    child.start();
    ASSERT_TRUE(stage.is_ready.wait_for(1min));
    queue.put(1);
    child.interrupt();
    child.interrupt();
    queue.put(2);
    child.result();
}

}  // namespace
