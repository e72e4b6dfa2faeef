// The fork server: who is whose parent, and what happens when it is killed.
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <thread>

#include <multiproc/multiproc.hpp>

#include "support/gate.hpp"
#include "support/with_fork_server.hpp"

namespace {

using namespace std::chrono_literals;
namespace mp = multiproc;
namespace test = mp::test;

using ProcessForkServer = test::WithForkServer;

TEST_F(ProcessForkServer, is_a_process_between_parent_and_child_and_stays) {
    EXPECT_NE(server_, ::getpid());
    EXPECT_EQ(server(), server_);
}

#if defined(__linux__)
TEST_F(ProcessForkServer, holds_none_of_the_programs_streams) {
    for (int fd = 0; fd < 3; ++fd) {
        const auto link = "/proc/" + std::to_string(server_) + "/fd/" + std::to_string(fd);
        EXPECT_EQ(std::filesystem::read_symlink(link), "/dev/null") << fd;
    }
}
#endif

TEST_F(ProcessForkServer, that_was_killed_is_started_again) {
    for (int i = 0; i < 3; ++i) {
        kill_server();
        const pid_t next = server();
        EXPECT_NE(next, server_);
        server_ = next;
    }
}

TEST_F(ProcessForkServer, that_was_killed_does_not_touch_running_children) {
    const test::Gate gate;
    mp::Process p(test::pass_gate, gate.path(), 11);
    p.start();
    kill_server();
    EXPECT_TRUE(p.is_alive());
    mp::Process q([] { return 12; });
    q.start();
    EXPECT_EQ(q.result(), 12);
    gate.open();
    EXPECT_EQ(p.result(), 11);
    EXPECT_EQ(p.exit_status(), mp::ExitStatus::exited(0)) << "the child's own word";
}

TEST_F(ProcessForkServer, that_was_killed_leaves_an_error_of_its_child_readable) {
    const test::Gate gate;
    mp::Process p(
        mp::ProcessOptions{.err = mp::Redirect::null()},
        [](const std::string& path) {
            test::Gate::await(path);
            throw std::out_of_range("after the server");
        },
        gate.path());
    p.start();
    kill_server();
    gate.open();
    EXPECT_THROW(p.result(), std::out_of_range);
    EXPECT_EQ(p.exit_status(), mp::ExitStatus::exited(1));
}

TEST_F(ProcessForkServer, that_was_killed_leaves_a_death_by_signal_unknown_but_not_unnoticed) {
    mp::Process p([] { std::this_thread::sleep_for(1h); });
    p.start();
    kill_server();
    p.kill();
    ASSERT_TRUE(p.join_for(1min));
    EXPECT_EQ(p.exit_status(), mp::ExitStatus::unknown());
    EXPECT_THROW(p.result(), mp::WorkerDied);
}

TEST_F(ProcessForkServer, that_is_killed_again_and_again_while_threads_start_children_costs_no_more_than_an_error) {
    std::atomic<bool> stop = false;
    std::atomic<pid_t> last_server = server_;
    std::thread killer([&] {
        while (!stop) {
            const pid_t pid = last_server;
            if (test::is_running(static_cast<std::uint32_t>(pid))) ::kill(pid, SIGKILL);
            std::this_thread::sleep_for(5ms);
        }
    });
    int right = 0;
    for (int i = 0; i < 30; ++i) {
        try {
            mp::Process p([] { return static_cast<std::int64_t>(::getppid()); });
            p.start();
            last_server = static_cast<pid_t>(p.result());
            ++right;
        } catch (const mp::StartError&) {
        } catch (const mp::WorkerDied&) {  // its server died between the fork and its arrival
        } catch (const mp::BootstrapError&) {}
    }
    stop = true;
    killer.join();
    EXPECT_GT(right, 0);
    EXPECT_GT(server(), 0);
}

}  // namespace
