#include <gtest/gtest.h>

#include <chrono>
#include <limits>

#include <multiproc/timeout.hpp>

namespace {

using multiproc::Timeout;
using namespace std::chrono_literals;
using std::chrono::nanoseconds;

TEST(Timeout, KeepsWhatNanosecondsCanTell) {
    EXPECT_EQ(Timeout(2s).count(), 2'000'000'000);
    EXPECT_EQ(Timeout(-3ms).count(), -3'000'000);
    EXPECT_EQ(Timeout(std::chrono::duration<double>(0.5)).count(), 500'000'000);
    EXPECT_EQ(Timeout(std::chrono::hours(24 * 365 * 200)).count(),
              nanoseconds(std::chrono::hours(24 * 365 * 200)).count());
    EXPECT_EQ(Timeout(std::chrono::duration<long, std::pico>(2500)).count(), 2);
}

TEST(Timeout, DoesNotOverflow) {
    EXPECT_EQ(nanoseconds(Timeout(std::chrono::hours::max())), nanoseconds::max());
    EXPECT_EQ(nanoseconds(Timeout(std::chrono::years::max())), nanoseconds::max());
    EXPECT_EQ(nanoseconds(Timeout(nanoseconds::max())), nanoseconds::max());
    EXPECT_EQ(nanoseconds(Timeout(std::chrono::seconds::min())), nanoseconds::min());
    EXPECT_EQ(nanoseconds(Timeout(std::chrono::duration<double>(1e300))), nanoseconds::max());
    EXPECT_EQ(nanoseconds(Timeout(std::chrono::duration<double>(std::numeric_limits<double>::quiet_NaN()))),
              nanoseconds::max());
}

}  // namespace
