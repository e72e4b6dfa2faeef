// main() for test programs whose tests start processes: link multiproc::gtest_main instead of GTest::gtest_main.

#include <gtest/gtest.h>

#include <multiproc/freeze_support.hpp>

int main(int argc, char** argv) {
    multiproc::freeze_support();  // a child enters here and never returns, so it runs no tests
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
