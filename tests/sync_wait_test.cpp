// wait() over connections, queues and ends of processes.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "support/die.hpp"
#include "support/each_start_method.hpp"
#include "support/gate.hpp"

namespace {

using namespace std::chrono_literals;
namespace mp = multiproc;
using Clock = std::chrono::steady_clock;
using Places = std::vector<std::size_t>;
using SyncWait = mp::test::EachStartMethod;

TEST_F(SyncWait, says_which_are_ready_in_the_order_given) {
    const mp::test::Gate gate;
    mp::Process process(mp::test::pass_gate, gate.path(), 1);
    process.start();
    const auto [here, there] = mp::pipe<int>();
    const mp::Queue<std::string> queue(3);
    const mp::SimpleQueue<int> simple;
    const auto ask = [&] { return mp::wait({process.sentinel(), here, queue, simple}, 0s); };
    EXPECT_EQ(ask(), Places{});
    queue.put("item");
    EXPECT_EQ(ask(), Places{2});
    there.send(1);
    EXPECT_EQ(ask(), (Places{1, 2}));
    simple.put(1);
    gate.open();
    process.join();
    EXPECT_EQ(ask(), (Places{0, 1, 2, 3}));
    EXPECT_EQ(here.recv(), 1);  // nothing was taken
    EXPECT_EQ(queue.get(), "item");
    EXPECT_EQ(ask(), (Places{0, 3}));
    const std::vector<mp::Waitable> backwards{simple, queue, here, process.sentinel()};
    EXPECT_EQ(mp::wait(backwards), (Places{0, 3}));
}

TEST_F(SyncWait, a_message_wakes_it) {
    const auto [here, there] = mp::pipe<int>();
    const auto [other, unused] = mp::pipe<int>();
    const mp::Queue<int> queue;
    mp::Process sender(
        [](mp::Connection<int, int> mine) {
            for (int i = 0; i < 300; ++i) {
                mine.send(i);
                (void)mine.recv();
            }
        },
        there);
    sender.start();
    const auto begin = Clock::now();
    for (int i = 0; i < 300; ++i) {
        ASSERT_EQ(mp::wait({queue, other, here}), Places{2});
        ASSERT_EQ(here.recv(), i);
        here.send(i);
    }
    EXPECT_LT(Clock::now() - begin, 300 * 50ms);  // nor is it found by looking again now and then
    sender.result();
}

TEST_F(SyncWait, an_item_wakes_it_and_those_who_take_items_are_woken_besides) {
    const mp::Queue<int> queue;
    constexpr int lookers = 5;
    std::atomic<int> seen{0}, begun{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < lookers; ++i) {
        threads.emplace_back([&] {
            ++begun;
            if (mp::wait({queue, queue}, 60s) == Places{0, 1}) ++seen;
        });
    }
    mp::Process taker([](mp::Queue<int> mine) { return mine.get() + mine.get(); }, queue);
    taker.start();
    while (begun != lookers) std::this_thread::yield();
    queue.put(1);
    queue.put(2);
    EXPECT_EQ(taker.result(), 3);
    queue.put(3);  // stays
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(seen, lookers);
    EXPECT_EQ(queue.get_nowait(), 3);
}

TEST_F(SyncWait, the_end_of_a_process_wakes_it) {
    const auto [here, there] = mp::pipe<int>();
    mp::Process process([] { std::this_thread::sleep_for(1h); });
    process.start();
    std::thread killer([&] { process.kill(); });
    EXPECT_EQ(mp::wait({here, process.sentinel()}, 60s), Places{1});
    killer.join();
}

TEST_F(SyncWait, the_end_of_file_wakes_it) {
    auto [here, there] = mp::pipe<int>();
    std::thread closer([&end = there] { end.close(); });
    EXPECT_EQ(mp::wait({here}, 60s), Places{0});
    closer.join();
    EXPECT_THROW((void)here.recv(), mp::EndOfFile);
}

TEST_F(SyncWait, so_does_that_of_a_sender_that_is_killed) {
    auto [here, there] = mp::pipe<int>();
    const mp::Queue<int> queue;
    mp::Process sender(
        [](mp::Connection<int, int> mine, mp::Queue<int> started) {
            started.put(1);
            (void)mine.recv();
        },
        there, queue);
    sender.start();
    there.close();
    ASSERT_EQ(queue.get(true, 60s), 1);
    sender.kill();
    EXPECT_EQ(mp::wait({queue, here}, 60s), Places{1});
    EXPECT_EQ(mp::wait({here, sender.sentinel()}, 0s).front(), 0u);
    EXPECT_THROW((void)here.recv(), mp::EndOfFile);
}

TEST_F(SyncWait, a_waiter_that_is_killed_harms_nobody) {
    const mp::Queue<int> queue, other;
    const mp::Semaphore started(0);
    const auto look = [](mp::Queue<int> a, mp::Queue<int> b, mp::Semaphore begun) {
        begun.release();
        return mp::wait({a, b});
    };
    mp::Process killed(look, queue, other, started), waits(look, queue, other, started);
    killed.start();
    waits.start();
    for (int i = 0; i < 2; ++i) ASSERT_TRUE(started.acquire(true, 60s));
    killed.kill();
    killed.join();
    other.put(1);
    EXPECT_EQ(waits.result(), Places{1});
    EXPECT_EQ(other.get(), 1);
}

TEST_F(SyncWait, it_keeps_its_time_limit) {
    const auto [here, there] = mp::pipe<int>();
    const mp::Queue<int> queue;
    for (const auto timeout : {20ms, 120ms}) {
        const auto begin = Clock::now();
        EXPECT_EQ(mp::wait({here, queue}, timeout), Places{});
        EXPECT_GE(Clock::now() - begin, timeout);
    }
    EXPECT_EQ(mp::wait({here, queue}, -1s), Places{});
    EXPECT_EQ(mp::wait(std::vector<mp::Waitable>{}, 1ms), Places{});
    EXPECT_THROW(mp::wait(std::vector<mp::Waitable>{}), std::invalid_argument);
}

TEST_F(SyncWait, what_is_closed_is_an_error) {
    auto [here, there] = mp::pipe<int>();
    const mp::Queue<int> queue;
    const mp::Waitable waitable = queue;
    EXPECT_FALSE(waitable.ready());
    here.close();
    queue.close();
    EXPECT_THROW(mp::wait({here}, 1s), mp::ClosedError);
    EXPECT_THROW(mp::wait({there, queue}, 1s), mp::ClosedError);
    EXPECT_THROW((void)waitable.ready(), mp::ClosedError);
    EXPECT_EQ(mp::wait({there}, 1s), Places{0});  // the end of file
}

}  // namespace
