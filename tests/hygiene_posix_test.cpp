// The library keeps its hands off the program's own affairs.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"
#include "support/environment.hpp"

namespace {

namespace mp = multiproc;

using HygienePosix = mp::test::EachStartMethod;

int square(int x) { return x * x; }
void run_some() {
    mp::Process p(square, 3);
    p.start();
    EXPECT_EQ(p.result(), 9);
    mp::Process killed([] { ::pause(); });
    killed.start();
    killed.kill();
    killed.join();
    mp::Pool pool({.workers = 2});
    EXPECT_EQ(pool.map(square, std::vector{1, 2, 3}), (std::vector{1, 4, 9}));
}

TEST_F(HygienePosix, signal_handlers_and_masks_are_as_they_were) {
    const auto state = [] {
        std::vector<std::string> all;
        for (int number = 1; number < 65; ++number) {
            struct sigaction action;
            std::memset(&action, 0, sizeof action);
            if (::sigaction(number, nullptr, &action) != 0) continue;
            all.push_back(std::to_string(number) + (action.sa_handler == SIG_DFL   ? " default"
                                                    : action.sa_handler == SIG_IGN ? " ignored"
                                                                                   : " handled"));
        }
        sigset_t mask;
        ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
        for (int number = 1; number < 65; ++number)
            if (sigismember(&mask, number) == 1) all.push_back(std::to_string(number) + " blocked");
        return all;
    };
    const auto before = state();
    run_some();
    EXPECT_EQ(state(), before);
}

int deaths_of_children = 0;

TEST_F(HygienePosix, a_sigchld_handler_of_the_program_stays_and_does_no_harm) {
    struct sigaction action {
    }, before{}, now{};
    action.sa_handler = [](int) { ++deaths_of_children; };
    ::sigaction(SIGCHLD, &action, &before);
    run_some();
    ::sigaction(SIGCHLD, nullptr, &now);
    EXPECT_EQ(now.sa_handler, action.sa_handler);
    ::sigaction(SIGCHLD, &before, nullptr);
}

TEST_F(HygienePosix, the_environment_is_as_it_was) {
    const std::vector<std::string> before = mp::test::all_variables();
    run_some();
    EXPECT_EQ(mp::test::all_variables(), before);
}

TEST_F(HygienePosix, the_settings_of_a_terminal_are_as_they_were) {
    const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    ASSERT_GE(terminal, 0);
    struct termios before {
    }, after{};
    ASSERT_EQ(::tcgetattr(terminal, &before), 0);
    run_some();
    ASSERT_EQ(::tcgetattr(terminal, &after), 0);
    EXPECT_EQ(before.c_lflag, after.c_lflag);
    EXPECT_EQ(before.c_iflag, after.c_iflag);
    EXPECT_EQ(before.c_oflag, after.c_oflag);
    ::close(terminal);
}

TEST_F(HygienePosix, the_descriptors_of_the_program_are_as_they_were) {
    const auto identity = [](int fd) {
        struct stat status {};
        ::fstat(fd, &status);
        return std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino) + " " +
               std::to_string(::fcntl(fd, F_GETFL)) + " " + std::to_string(::fcntl(fd, F_GETFD));
    };
    const std::vector<std::string> before{identity(0), identity(1), identity(2)};
    run_some();
    EXPECT_EQ((std::vector{identity(0), identity(1), identity(2)}), before);
}

TEST_F(HygienePosix, a_programs_own_children_are_left_to_it) {
    const pid_t own = ::fork();
    if (own == 0) ::_exit(17);
    run_some();
    int status = 0;
    ASSERT_EQ(::waitpid(own, &status, 0), own) << "somebody else took its status";
    EXPECT_EQ(WEXITSTATUS(status), 17);
}

}  // namespace
