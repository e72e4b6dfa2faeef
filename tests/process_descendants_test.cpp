// Children that start children.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"
#include "support/gate.hpp"

namespace {

using namespace std::chrono_literals;
namespace mp = multiproc;

using ProcessDescendants = mp::test::EachStartMethod;

// The pids of a line of processes, the youngest first.
std::vector<std::uint32_t> line_of(int generations) {
    std::vector<std::uint32_t> pids;
    if (generations > 1) {
        mp::Process child(line_of, generations - 1);
        child.start();
        pids = child.result();
    }
    pids.push_back(mp::current_process().pid);
    return pids;
}

TEST_F(ProcessDescendants, children_start_children) {
    mp::Process p(line_of, 4);
    p.start();
    std::vector<std::uint32_t> pids = p.result();
    ASSERT_EQ(pids.size(), 4U);
    EXPECT_EQ(pids.back(), p.pid());
    std::ranges::sort(pids);
    EXPECT_EQ(std::ranges::unique(pids).size(), 0U);
}

int square(int x) { return x * x; }
std::vector<int> squares(int count) {
    mp::Pool pool({.workers = 2});
    std::vector<int> input(static_cast<std::size_t>(count));
    std::iota(input.begin(), input.end(), 0);
    return pool.map(square, input);
}

TEST_F(ProcessDescendants, a_pool_inside_a_child_works) {
    mp::Process p(squares, 5);
    p.start();
    EXPECT_EQ(p.result(), (std::vector{0, 1, 4, 9, 16}));
}

int square_in_a_process(int x) {
    mp::Process p(square, x);
    p.start();
    return p.result();
}

TEST_F(ProcessDescendants, a_process_inside_a_pool_worker_works) {
    mp::Pool pool({.workers = 2});
    EXPECT_EQ(pool.map(square_in_a_process, std::vector{1, 2, 3, 4}), (std::vector{1, 4, 9, 16}));
}

TEST_F(ProcessDescendants, a_pool_inside_a_pool_worker_works) {
    mp::Pool pool({.workers = 2});
    EXPECT_EQ(pool.map(squares, std::vector{2, 3}), (std::vector<std::vector<int>>{{0, 1}, {0, 1, 4}}));
}

// Leaves a running grandchild behind when it returns.
std::uint32_t leave_grandchild(bool daemon, const std::string& gate) {
    mp::Process p(mp::ProcessOptions{.daemon = daemon}, mp::test::pass_gate, gate, 1);
    p.start();
    return p.pid();
}

TEST_F(ProcessDescendants, a_grandchild_that_is_no_daemon_is_awaited_by_the_child) {
    const mp::test::Gate gate;
    mp::Process p(leave_grandchild, false, gate.path());
    p.start();
    EXPECT_FALSE(p.join_for(200ms));
    gate.open();
    EXPECT_FALSE(mp::test::is_running(p.result()));
    EXPECT_EQ(p.exit_status(), mp::ExitStatus::exited(0));
}

TEST_F(ProcessDescendants, a_daemonic_grandchild_is_terminated_by_the_child) {
    const mp::test::Gate gate;
    mp::Process p(leave_grandchild, true, gate.path());
    p.start();
    ASSERT_TRUE(p.join_for(20s));
    EXPECT_FALSE(mp::test::is_running(p.result()));
    EXPECT_EQ(p.exit_status(), mp::ExitStatus::exited(0));
}

void tell_pid_and_sleep(const std::string& path) {
    std::ofstream(path) << mp::current_process().pid << '\n';
    std::this_thread::sleep_for(1h);
}
void keep_grandchild(const std::string& path) {
    mp::Process p(tell_pid_and_sleep, path);
    p.start();
    p.join();
}

TEST_F(ProcessDescendants, a_grandchild_ends_when_the_child_is_killed) {
    const mp::test::Gate file;
    mp::Process p(keep_grandchild, file.path());
    p.start();
    std::uint32_t pid = 0;
    ASSERT_TRUE(mp::test::holds_soon([&] { return static_cast<bool>(std::ifstream(file.path()) >> pid); }));
    EXPECT_TRUE(mp::test::is_running(pid));
    p.kill();
    p.join();
    EXPECT_TRUE(mp::test::holds_soon([pid] { return !mp::test::is_running(pid); }));
}

TEST_F(ProcessDescendants, many_at_once_work) {
    std::vector<mp::Process<int>> all;
    for (int i = 0; i < 40; ++i) all.emplace_back(square, i);
    for (auto& p : all) p.start();
    for (int i = 0; i < 40; ++i) EXPECT_EQ(all[static_cast<std::size_t>(i)].result(), i * i);
}

TEST_F(ProcessDescendants, threads_start_them_at_once) {
    std::atomic<int> right = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&right, i] {
            for (int j = 0; j < 5; ++j) {
                mp::Process p(square, i + j);
                p.start();
                if (p.result() == square(i + j)) ++right;
            }
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(right, 40);
}

// Each of these is copied or started while other threads are somewhere inside the library.
TEST_F(ProcessDescendants, threads_start_them_while_others_start_and_join_theirs) {
    std::atomic<int> right = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&right, i] {
            for (int j = 0; j < 10; ++j) {
                mp::Process p(square_in_a_process, i + j);
                p.start();
                if (p.result() == square(i + j)) ++right;
            }
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(right, 40);
}

std::size_t handles_of_child(const std::string& gate) {
    mp::test::Gate::await(gate);
    return mp::test::open_handles();
}

TEST_F(ProcessDescendants, open_handles_of_a_child_do_not_grow_with_its_siblings) {
    const mp::test::Gate gate;
    std::vector<mp::Process<std::size_t>> all;
    for (int i = 0; i < 12; ++i) {
        all.emplace_back(handles_of_child, gate.path());
        all.back().start();
    }
    gate.open();
    std::vector<std::size_t> counts;
    for (auto& p : all) counts.push_back(p.result());
    // On Windows the system opens and closes some of its own at any time.
    const auto [least, most] = std::ranges::minmax(counts);
    EXPECT_LT(most - least, all.size() / 2);
}

}  // namespace
