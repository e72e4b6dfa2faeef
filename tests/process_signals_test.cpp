// terminate, kill and interrupt.
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <string>
#include <thread>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"
#include "support/gate.hpp"

namespace {

using namespace std::chrono_literals;
namespace mp = multiproc;

using ProcessSignals = mp::test::EachStartMethod;

void sleep_long() { std::this_thread::sleep_for(1h); }

TEST_F(ProcessSignals, terminate_reports_sigterm) {
    mp::Process p(sleep_long);
    p.start();
    p.terminate();
    p.join();
    EXPECT_EQ(to_string(*p.exit_status()), "killed by SIGTERM");
    EXPECT_EQ(p.exit_status()->exit_code(), -15);
    EXPECT_THROW(p.result(), mp::WorkerDied);
}

TEST_F(ProcessSignals, kill_reports_sigkill) {
    mp::Process p(sleep_long);
    p.start();
    p.kill();
    p.join();
    EXPECT_EQ(to_string(*p.exit_status()), "killed by SIGKILL");
    EXPECT_EQ(p.exit_status()->exit_code(), -9);
}

TEST_F(ProcessSignals, terminate_right_after_start_works_100_times_in_a_row) {
    for (int i = 0; i < 100; ++i) {
        mp::Process p(sleep_long);
        p.start();
        p.terminate();
        ASSERT_TRUE(p.join_for(1min)) << i;
        ASSERT_EQ(to_string(*p.exit_status()), "killed by SIGTERM") << i;
    }
}

TEST_F(ProcessSignals, kill_right_after_start_works_100_times_in_a_row) {
    for (int i = 0; i < 100; ++i) {
        mp::Process p(sleep_long);
        p.start();
        p.kill();
        ASSERT_TRUE(p.join_for(1min)) << i;
        ASSERT_EQ(to_string(*p.exit_status()), "killed by SIGKILL") << i;
    }
}

TEST_F(ProcessSignals, interrupt_ends_a_process_as_ctrl_c_does) {
    mp::Process p(sleep_long);
    p.start();
    p.interrupt();
    ASSERT_TRUE(p.join_for(1min));
    ASSERT_EQ(p.exit_status()->kind(), mp::ExitStatus::Kind::signalled);
    const std::string name = mp::signal_name(p.exit_status()->number());
    EXPECT_TRUE(name == "SIGINT" || name == "CONTROL_C_EXIT") << name;
}

volatile std::sig_atomic_t interrupted = 0;

// Says that its handler is in place, then waits to be interrupted.
int await_interrupt(const std::string& ready) {
    std::signal(SIGINT, [](int) { interrupted = 1; });
    mp::test::open_gate(ready);
    const auto give_up = std::chrono::steady_clock::now() + 1min;
    while (interrupted == 0 && std::chrono::steady_clock::now() < give_up) std::this_thread::sleep_for(1ms);
    return interrupted;
}

TEST_F(ProcessSignals, interrupt_runs_the_handler_of_the_child) {
    const mp::test::Gate ready;
    mp::Process p(await_interrupt, ready.path());
    p.start();
    ASSERT_TRUE(ready.await());
    p.interrupt();
    EXPECT_EQ(p.result(), 1);
}

TEST_F(ProcessSignals, signals_after_the_end_do_nothing) {
    mp::Process p([] { return 1; });
    p.start();
    p.join();
    p.terminate();
    p.kill();
    p.interrupt();
    EXPECT_EQ(p.exit_status(), mp::ExitStatus::exited(0));
    EXPECT_EQ(p.result(), 1);
}

[[noreturn]] void leave_with(int code) { std::exit(code); }
[[noreturn]] void leave_quickly_with(int code) { std::_Exit(code); }
[[noreturn]] void fall() { std::abort(); }

TEST_F(ProcessSignals, the_code_given_to_exit_is_the_exit_status) {
    for (const int code : {0, 1, 7, 255}) {
        mp::Process p(leave_with, code), q(leave_quickly_with, code);
        p.start();
        q.start();
        p.join();
        q.join();
        EXPECT_EQ(p.exit_status(), mp::ExitStatus::exited(static_cast<std::uint32_t>(code)));
        EXPECT_EQ(q.exit_status(), mp::ExitStatus::exited(static_cast<std::uint32_t>(code)));
        EXPECT_THROW(p.result(), mp::WorkerDied);
    }
}

TEST_F(ProcessSignals, a_crash_is_told_with_its_cause) {
    mp::Process p(mp::ProcessOptions{.err = mp::Redirect::null()}, fall);
    p.start();
    try {
        p.result();
        FAIL() << "it must throw";
    } catch (const mp::WorkerDied& died) {
        EXPECT_EQ(died.pid(), p.pid());
        EXPECT_EQ(died.status(), p.exit_status());
        EXPECT_FALSE(died.status().success());
        EXPECT_NE(died.task(), "");
    }
    EXPECT_NE(p.exit_status(), mp::ExitStatus::unknown());
}

}  // namespace
