// A pool whose start meets a limit of the system.
#include <sys/resource.h>

#include <vector>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"
#include "support/leftovers.hpp"

namespace {

namespace mp = multiproc;

class PoolLimits : public mp::test::EachStartMethod {};

int twice(int number) { return 2 * number; }

TEST_F(PoolLimits, AHandleLimitReachedWhileStartingStopsTheWorkersAlreadyStarted) {
    const std::size_t handles = mp::test::open_handles();
    const std::size_t processes = mp::test::descendants().size();
    rlimit usual{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &usual), 0);
    rlimit tight = usual;
    tight.rlim_cur = handles + 30;
    mp::Pool pool(60);

    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
    EXPECT_THROW(pool.start(), mp::StartError);
    EXPECT_THROW(pool.apply(twice, 1), mp::StartError);
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &usual), 0);

    EXPECT_TRUE(pool.worker_pids().empty());
    EXPECT_TRUE(mp::test::holds_soon([&] { return mp::test::descendants().size() <= processes; }));
    // The pool is as it was, and can be started once there is room.
    EXPECT_EQ(pool.apply(twice, 21), 42);
    EXPECT_EQ(pool.worker_pids().size(), 60u);
}

}  // namespace
