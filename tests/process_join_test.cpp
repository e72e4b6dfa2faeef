// Waiting for a process's end, and results of any size.
#include <chrono>
#include <cstdint>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"
#include "support/sanitizers.hpp"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
namespace mp = multiproc;

using ProcessJoin = mp::test::EachStartMethod;

void sleep_long() { std::this_thread::sleep_for(1h); }
void sleep_for(std::chrono::milliseconds time) { std::this_thread::sleep_for(time); }

TEST_F(ProcessJoin, join_for_zero_and_negative_times_returns_at_once) {
    mp::Process p(sleep_long);
    p.start();
    const auto start = Clock::now();
    EXPECT_FALSE(p.join_for(0s));
    EXPECT_FALSE(p.join_for(-1s));
    EXPECT_FALSE(p.join_for(std::chrono::nanoseconds::min()));
    EXPECT_LT(Clock::now() - start, 5s);
    p.kill();
    EXPECT_TRUE(p.join_for(std::chrono::years::max()));  // more than 64 bits of nanoseconds
    EXPECT_TRUE(p.join_for(0s));
    EXPECT_TRUE(p.join_for(-1s));
}

TEST_F(ProcessJoin, join_for_waits_as_long_as_it_says) {
    mp::Process p(sleep_long);
    p.start();
    const auto start = Clock::now();
    EXPECT_FALSE(p.join_for(100ms));
    EXPECT_GE(Clock::now() - start, 100ms);
    p.kill();
    EXPECT_TRUE(p.join_for(std::chrono::nanoseconds::max()));
}

TEST_F(ProcessJoin, several_threads_may_join_at_once) {
    mp::Process p(sleep_for, 50ms);
    p.start();
    std::vector<std::thread> threads;
    std::atomic<int> joined = 0;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&p, &joined, i] {
            if (i % 2 == 0) p.join();
            if (p.join_for(1min) && p.exit_status()->success()) ++joined;
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(joined, 8);
}

TEST_F(ProcessJoin, joining_again_is_fine) {
    mp::Process p(sleep_for, 0ms);
    p.start();
    for (int i = 0; i < 3; ++i) p.join();
    EXPECT_EQ(p.exit_status(), mp::ExitStatus::exited(0));
}

std::vector<std::uint64_t> numbers(std::size_t count) {
    std::vector<std::uint64_t> list(count);
    std::iota(list.begin(), list.end(), std::uint64_t{0});
    return list;
}

TEST_F(ProcessJoin, a_big_return_value_arrives) {
    // 1 GiB, or less where each byte costs more.
    const std::size_t count = (mp::test::slow_memory ? std::size_t{64} : std::size_t{1024}) * 1024 * 1024 / 8;
    mp::Process p(numbers, count);
    p.start();
    const std::vector<std::uint64_t> list = p.result();
    ASSERT_EQ(list.size(), count);
    bool right = true;
    for (std::size_t i = 0; i < count; ++i) right = right && list[i] == i;
    EXPECT_TRUE(right);
}

TEST_F(ProcessJoin, join_without_reading_a_big_return_value_does_not_deadlock) {
    mp::Process p(numbers, std::size_t{4} * 1024 * 1024);
    p.start();
    ASSERT_TRUE(p.join_for(1min));
    EXPECT_EQ(p.exit_status(), mp::ExitStatus::exited(0));
    EXPECT_EQ(p.result().size(), std::size_t{4} * 1024 * 1024);
}

std::uint64_t sum(const std::vector<std::uint64_t>& list) {
    return std::accumulate(list.begin(), list.end(), std::uint64_t{0});
}

TEST_F(ProcessJoin, big_arguments_arrive) {
    const std::vector<std::uint64_t> list = numbers(8 * 1024 * 1024);
    mp::Process p(sum, list);
    p.start();
    EXPECT_EQ(p.result(), sum(list));
}

// Around the sizes at which a message goes another way.
TEST_F(ProcessJoin, results_of_every_size_arrive) {
    for (const std::size_t size :
         {0U, 1U, 63U, 64U, 65U, 4095U, 16384U, 32767U, 65535U, 65536U, 65537U, 131072U, 262144U}) {
        mp::Process p([](std::size_t n) { return std::string(n, 'x'); }, size);
        p.start();
        EXPECT_EQ(p.result(), std::string(size, 'x'));
    }
}

}  // namespace
