// Ctrl+C typed at a terminal, where it reaches the program and all its processes at once.
#include <signal.h>

#include <cstdint>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"
#include "support/leftovers.hpp"
#include "support/posix/terminal.hpp"
#include "support/run_program.hpp"

namespace {

namespace mp = multiproc;

constexpr char ctrl_c = 3;

class InterruptTerminal : public mp::test::EachStartMethod {
protected:
    void TearDown() override {
        terminal_.reset();
        EachStartMethod::TearDown();
    }

    // Starts the program and returns when its workers work.
    void start(const std::string& mode) {
        terminal_.emplace(std::vector<std::string>{mp::test::program_path("interrupt_program"), mode});
        settings_ = terminal_->settings();
        std::istringstream pids(terminal_->read_until("ready"));
        for (std::uint32_t pid = 0; pids >> pid;) processes_.push_back(pid);
        ASSERT_EQ(processes_.size(), 3u);  // two workers and a manager
    }
    mp::ExitStatus finish(std::string& shown) {
        const mp::ExitStatus status = terminal_->finish(shown);
        shown.erase(0, shown.find("ready") + std::string("ready").size());
        EXPECT_EQ(terminal_->settings(), settings_);
        for (const std::uint32_t pid : processes_) {
            EXPECT_TRUE(mp::test::holds_soon([pid] { return !mp::test::is_running(pid); }))
                << "process " << pid << " survived";
        }
        return status;
    }

    std::optional<mp::test::Terminal> terminal_;

private:
    std::string settings_;
    std::vector<std::uint32_t> processes_;
};

// The terminal itself shows "^C".
TEST_F(InterruptTerminal, ctrl_c_ends_the_program_and_all_its_processes_quietly) {
    start("plain");
    terminal_->type(ctrl_c);
    std::string shown;
    EXPECT_EQ(finish(shown), mp::ExitStatus::signalled(SIGINT));
    EXPECT_EQ(shown, "\r\n^C");
}

TEST_F(InterruptTerminal, in_a_scope_the_pool_ends_and_the_program_goes_on) {
    start("scope");
    terminal_->type(ctrl_c);
    std::string shown;
    EXPECT_EQ(finish(shown), mp::ExitStatus::exited(5));
    EXPECT_EQ(shown, "\r\n^Cinterrupted\r\nsum 42\r\n");
}

TEST_F(InterruptTerminal, a_second_ctrl_c_ends_a_clean_up_that_takes_too_long) {
    start("slow");
    terminal_->type(ctrl_c);
    terminal_->read_until("cleaning up");
    terminal_->type(ctrl_c);
    std::string shown;
    EXPECT_EQ(finish(shown), mp::ExitStatus::signalled(SIGINT));
    EXPECT_EQ(shown, "\r\n^Ccleaning up\r\n^C");
}

}  // namespace
