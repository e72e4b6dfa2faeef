// Processes that cannot start: an error at start(), and nothing is left.
#include <string>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"
#include "support/temporary.hpp"

namespace {

namespace mp = multiproc;

// Another executable for the children, for the time of a test.
class Executable {
public:
    explicit Executable(const std::string& path) { mp::set_executable(path); }
    ~Executable() { mp::set_executable({}); }
};

using ProcessStartFailure = mp::test::EachStartMethod;

mp::StartMethod not_fork() {
    const mp::StartMethod method = mp::get_start_method();
    return method == mp::StartMethod::fork ? mp::StartMethod::spawn : method;  // a fork starts no executable
}

int add_one(int x) { return x + 1; }

TEST_F(ProcessStartFailure, a_missing_executable_is_an_error_at_start_and_nothing_is_left) {
    const mp::test::TemporaryDirectory directory;
    for (int i = 0; i < 3; ++i) {
        mp::Process p(mp::ProcessOptions{.start_method = not_fork()}, add_one, 1);
        {
            const Executable missing(directory.file("missing.exe"));
            EXPECT_THROW(p.start(), mp::Error);
        }
        EXPECT_FALSE(p.is_alive());
        EXPECT_EQ(p.exit_status(), std::nullopt);
        EXPECT_EQ(p.pid(), 0U);
        p.start();  // after an error it may be tried again
        EXPECT_EQ(p.result(), 2);
    }
}

TEST_F(ProcessStartFailure, a_method_that_the_platform_lacks_is_an_error) {
    const std::vector<mp::StartMethod> all = mp::get_all_start_methods();
    for (const auto method : {mp::StartMethod::forkserver, mp::StartMethod::spawn, mp::StartMethod::fork}) {
        if (std::ranges::find(all, method) != all.end()) continue;
        mp::Process p(mp::ProcessOptions{.start_method = method}, add_one, 1);
        EXPECT_THROW(p.start(), std::invalid_argument);
        EXPECT_THROW(mp::set_start_method(method), std::invalid_argument);
    }
    EXPECT_THROW(mp::start_method_from("thread"), std::invalid_argument);
}

TEST_F(ProcessStartFailure, a_task_of_this_executable_cannot_run_in_another) {
    const mp::test::TemporaryDirectory directory;
    const Executable other(directory.file("any"));
    mp::Process p(mp::ProcessOptions{.start_method = not_fork()}, [] { return 1; });
    EXPECT_THROW(p.start(), mp::BootstrapError);
}

}  // namespace
