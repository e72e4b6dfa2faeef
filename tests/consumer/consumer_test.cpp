// A user's test program, with the main() that multiproc::gtest_main provides.
#include <gtest/gtest.h>
#include <multiproc/multiproc.hpp>

namespace {

int square(int number) { return number * number; }

TEST(Consumer, RunsATaskInItsOwnTestProgram) {
    multiproc::Pool pool({.workers = 1});
    EXPECT_EQ(pool.apply(square, 12), 144);
}

}  // namespace
