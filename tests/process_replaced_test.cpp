// A program whose executable is replaced on disk while it runs: it works, or says clearly what is wrong.
#include <filesystem>
#include <string>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"
#include "support/environment.hpp"
#include "support/run_program.hpp"
#include "support/temporary.hpp"

namespace {

namespace fs = std::filesystem;
namespace mp = multiproc;
namespace test = mp::test;

class ProcessReplaced : public test::EachStartMethod {
protected:
    static void run_replaced_by(const std::string& other, const std::string& warm) {
        const test::TemporaryDirectory directory;
        const std::string path = directory.file(std::string("program") + MULTIPROC_TEST_PROGRAM_SUFFIX);
        fs::copy_file(test::program_path("replaced_program"), path);
        const test::ProgramResult result =
            test::run_program(path, {{path, other, std::string(to_string(mp::get_start_method())), warm}, {}});
        EXPECT_FALSE(result.timed_out);
        EXPECT_EQ(result.status, mp::ExitStatus::exited(0)) << result.err;
        const std::string out = test::without_returns(result.out);
        if (out.ends_with("error\n")) {
            EXPECT_TRUE(result.err.find("replaced while the program runs") != std::string::npos ||
                        result.err.find("could not be started") != std::string::npos)
                << result.err;
        } else {
            EXPECT_EQ(out, "result 42\nresult 42\nresult 42\n");
            EXPECT_EQ(result.err, "");
        }
    }
};

TEST_F(ProcessReplaced, by_another_program_before_the_first_start) {
    run_replaced_by(test::program_path("optimized_program"), "cold");
}
TEST_F(ProcessReplaced, by_another_program_after_the_first_start) {
    run_replaced_by(test::program_path("optimized_program"), "warm");
}
TEST_F(ProcessReplaced, by_nothing_before_the_first_start) { run_replaced_by("-", "cold"); }
TEST_F(ProcessReplaced, by_nothing_after_the_first_start) { run_replaced_by("-", "warm"); }

}  // namespace
