// What a child does before freeze_support ends as quietly as what it does later: nobody sits in front of it.
#include <string>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "support/environment.hpp"
#include "support/run_program.hpp"
#include "support/temporary.hpp"

namespace {

namespace test = multiproc::test;

TEST(ReentryWin32, a_child_that_crashes_before_freeze_support_ends_with_the_code_of_the_crash_and_no_dialog) {
    const test::TemporaryDirectory directory;
    test::ProgramResult result = test::run_program(
        test::program_path("reentry_program"),
        {{"parent"}, {"REENTRY_MODE=crashes", "REENTRY_METHOD=spawn", "REENTRY_LOG=" + directory.file("log")}});
    EXPECT_FALSE(result.timed_out);
    EXPECT_NE(result.out.find("killed by ACCESS_VIOLATION"), std::string::npos) << result.out;
    EXPECT_EQ(result.err, "");
}

}  // namespace
