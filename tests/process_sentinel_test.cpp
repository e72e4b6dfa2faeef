// Sentinels and wait().
#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"
#include "support/gate.hpp"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
namespace mp = multiproc;
using mp::test::Gate;
using mp::test::pass_gate;

using ProcessSentinel = mp::test::EachStartMethod;

TEST_F(ProcessSentinel, before_start_it_is_an_error) {
    mp::Process p([] {});
    EXPECT_THROW(p.sentinel(), std::logic_error);
}

TEST_F(ProcessSentinel, it_is_not_ready_while_alive_and_ready_after) {
    const Gate gate;
    mp::Process p(pass_gate, gate.path(), 1);
    p.start();
    const mp::Sentinel sentinel = p.sentinel();
    EXPECT_FALSE(sentinel.ready());
    EXPECT_TRUE(mp::wait({{sentinel}}, 0s).empty());
    gate.open();
    EXPECT_EQ(mp::wait({{sentinel}}), std::vector{sentinel});
    EXPECT_TRUE(sentinel.ready());
    EXPECT_FALSE(p.is_alive());
}

TEST_F(ProcessSentinel, it_outlives_its_process_object) {
    const Gate gate;
    const mp::Sentinel sentinel = [&] {
        mp::Process p(pass_gate, gate.path(), 1);
        p.start();
        return p.sentinel();
    }();
    EXPECT_FALSE(sentinel.ready());
    gate.open();
    mp::wait({{sentinel}});
    EXPECT_TRUE(sentinel.ready());
}

TEST_F(ProcessSentinel, wait_returns_all_that_are_ready_in_the_order_given) {
    const Gate first, second, third;
    mp::Process a(pass_gate, first.path(), 1), b(pass_gate, second.path(), 2), c(pass_gate, third.path(), 3);
    for (auto* p : {&a, &b, &c}) p->start();
    const std::vector<mp::Sentinel> all{c.sentinel(), b.sentinel(), a.sentinel()};
    EXPECT_TRUE(mp::wait(all, 0s).empty());
    second.open();
    EXPECT_EQ(mp::wait(all), std::vector{b.sentinel()});
    first.open();
    a.join();
    EXPECT_EQ(mp::wait(all), (std::vector{b.sentinel(), a.sentinel()}));
    third.open();
    c.join();
    EXPECT_EQ(mp::wait(all), all);
}

TEST_F(ProcessSentinel, wait_keeps_its_time_limit) {
    const Gate gate;
    mp::Process p(pass_gate, gate.path(), 1);
    p.start();
    const auto start = Clock::now();
    EXPECT_TRUE(mp::wait({{p.sentinel()}}, 50ms).empty());
    EXPECT_GE(Clock::now() - start, 50ms);
    EXPECT_TRUE(mp::wait({{p.sentinel()}}, -1s).empty());
    gate.open();
    p.join();
}

TEST_F(ProcessSentinel, wait_for_nothing_is_an_error_unless_it_has_a_limit) {
    EXPECT_THROW(mp::wait({}), std::invalid_argument);
    EXPECT_TRUE(mp::wait({}, 1ms).empty());
}

TEST_F(ProcessSentinel, a_killed_process_wakes_the_waiter) {
    mp::Process p([] { std::this_thread::sleep_for(1h); });
    p.start();
    std::thread killer([&p] { p.kill(); });
    EXPECT_EQ(mp::wait({{p.sentinel()}}, 1min).size(), 1U);
    killer.join();
}

}  // namespace
