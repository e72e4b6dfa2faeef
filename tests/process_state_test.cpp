// A Process before its start, while it runs, and after its end; and what it knows of itself.
#include <algorithm>
#include <chrono>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"

namespace {

using namespace std::chrono_literals;
namespace mp = multiproc;

using ProcessState = mp::test::EachStartMethod;

void sleep_long() { std::this_thread::sleep_for(1h); }
int forty_two() { return 42; }

bool is_listed(const mp::ProcessHandle& process) {
    const std::vector<mp::ProcessHandle> all = mp::active_children();
    return std::ranges::find(all, process) != all.end();
}

TEST_F(ProcessState, before_start_it_is_not_alive_has_no_status_and_is_not_listed) {
    mp::Process p(forty_two);
    EXPECT_FALSE(p.is_alive());
    EXPECT_EQ(p.exit_status(), std::nullopt);
    EXPECT_EQ(p.pid(), 0U);
    EXPECT_FALSE(is_listed(p));
    EXPECT_THROW(p.join(), std::logic_error);
    EXPECT_THROW(p.join_for(1ms), std::logic_error);
    EXPECT_THROW(p.terminate(), std::logic_error);
    EXPECT_THROW(p.result(), std::logic_error);
}

// As in Python: what was printed before comes before what the child prints.
TEST_F(ProcessState, start_flushes_what_was_printed_before) {
    class Noting final : public std::stringbuf {
    public:
        int times_flushed = 0;
        int sync() override { return ++times_flushed, 0; }
    } buffer;
    std::streambuf* const before = std::cout.rdbuf(&buffer);
    mp::Process p(forty_two);
    p.start();
    const int times = buffer.times_flushed;
    std::cout.rdbuf(before);
    EXPECT_GT(times, 0);
    EXPECT_EQ(p.result(), 42);
}

TEST_F(ProcessState, after_start_it_is_alive_and_listed) {
    mp::Process p(sleep_long);
    p.start();
    EXPECT_TRUE(p.is_alive());
    EXPECT_EQ(p.exit_status(), std::nullopt);
    EXPECT_NE(p.pid(), 0U);
    EXPECT_TRUE(is_listed(p));
    EXPECT_TRUE(mp::test::is_running(p.pid()));
    p.kill();
    p.join();
}

TEST_F(ProcessState, after_join_it_has_exited_with_0_and_is_not_listed) {
    mp::Process p(forty_two);
    p.start();
    p.join();
    EXPECT_FALSE(p.is_alive());
    EXPECT_EQ(p.exit_status(), mp::ExitStatus::exited(0));
    EXPECT_FALSE(is_listed(p));
    EXPECT_FALSE(mp::test::is_running(p.pid()));
}

TEST_F(ProcessState, a_result_can_be_read_any_number_of_times) {
    mp::Process p(forty_two);
    p.start();
    EXPECT_EQ(p.result(), 42);
    EXPECT_EQ(p.result(), 42);
    p.join();
    EXPECT_EQ(p.result(), 42);
}

TEST_F(ProcessState, active_children_lists_them_in_the_order_of_their_start) {
    std::vector<mp::Process<void>> all;
    for (int i = 0; i < 5; ++i) all.emplace_back(sleep_long);
    for (auto i : {3, 1, 4, 0, 2}) all[static_cast<std::size_t>(i)].start();
    const std::vector<mp::ProcessHandle> expected{all[3], all[1], all[4], all[0], all[2]};
    EXPECT_EQ(mp::active_children(), expected);
    for (auto& p : all) p.kill();
    for (auto& p : all) p.join();
}

struct Seen {
    std::string name;
    std::uint32_t pid = 0;
    bool daemon = false;
    std::string parent_name;
    std::uint32_t parent_pid = 0;
};
Seen look() {
    const mp::ProcessInfo self = mp::current_process();
    const mp::ProcessInfo parent = mp::parent_process();
    return {self.name, self.pid, self.daemon, parent.name, parent.pid};
}

TEST_F(ProcessState, the_child_sees_its_own_name_and_pid_and_its_parent) {
    mp::Process p(mp::ProcessOptions{.name = "a name with spaces, longer than 15 bytes", .daemon = true}, look);
    EXPECT_TRUE(p.daemon());
    p.start();
    const Seen seen = p.result();
    EXPECT_EQ(seen.name, "a name with spaces, longer than 15 bytes");
    EXPECT_EQ(p.name(), seen.name);
    EXPECT_EQ(seen.pid, p.pid());
    EXPECT_TRUE(seen.daemon);
    EXPECT_EQ(seen.parent_name, "MainProcess");
    EXPECT_EQ(seen.parent_pid, mp::current_process().pid);
}

TEST_F(ProcessState, the_main_process_has_no_parent) {
    EXPECT_FALSE(mp::parent_process());
    EXPECT_EQ(mp::current_process().name, "MainProcess");
}

std::string name_of_child() { return mp::current_process().name; }
std::vector<std::string> names_of_family() {
    mp::Process first(name_of_child), second(name_of_child);
    first.start();
    second.start();
    return {mp::current_process().name, first.result(), second.result()};
}

TEST_F(ProcessState, names_are_counted_and_those_of_grandchildren_tell_their_parent) {
    mp::Process p(names_of_family), next(names_of_family);
    const std::string name = p.name();
    EXPECT_EQ(name.substr(0, 8), "Process-");
    p.start();
    EXPECT_EQ(p.result(), (std::vector{name, name + ":1", name + ":2"}));
    EXPECT_EQ(next.name(), "Process-" + std::to_string(std::stoi(name.substr(8)) + 1));
}

TEST_F(ProcessState, a_process_can_be_moved_while_it_runs) {
    mp::Process p(forty_two);
    p.start();
    mp::Process q = std::move(p);
    EXPECT_EQ(q.result(), 42);
    EXPECT_THROW(p.join(), mp::ClosedError);  // NOLINT: what was moved from says so
}

mp::StartMethod method_in_child() { return mp::get_start_method(); }

TEST_F(ProcessState, a_child_starts_its_own_children_by_the_method_its_parent_chose) {
    mp::Process p(method_in_child);
    p.start();
    EXPECT_EQ(p.result(), mp::get_start_method());
}

}  // namespace
