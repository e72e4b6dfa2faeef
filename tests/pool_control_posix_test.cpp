// Time limits and signals.
#include <chrono>
#include <csignal>
#include <string>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"
#include "support/gate.hpp"

namespace {

namespace mp = multiproc;
using namespace std::chrono_literals;

class PoolStubborn : public mp::test::EachStartMethod {};

int ignore_signals_and_wait(const std::string& begun, const std::string& gate) {
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGQUIT}) std::signal(signal, SIG_IGN);
    mp::test::open_gate(begun);
    return mp::test::pass_gate(gate, 1);
}

TEST_F(PoolStubborn, ItsTimeoutEndsATaskThatIgnoresSIGTERM) {
    mp::Pool pool(1);
    const mp::test::Gate never, begun;
    const mp::AsyncResult<int> stubborn =
        pool.with({.timeout = 1s}).apply_async(ignore_signals_and_wait, begun.path(), never.path());
    ASSERT_TRUE(begun.await());
    EXPECT_THROW(stubborn.get(), mp::TimeoutError);
    EXPECT_EQ(pool.apply([] { return 7; }), 7);
    EXPECT_EQ(pool.stats().restarts, 1u);
}

TEST_F(PoolStubborn, CancelEndsATaskThatIgnoresSIGTERM) {
    mp::Pool pool(1);
    const mp::test::Gate never, begun;
    const mp::AsyncResult<int> stubborn = pool.apply_async(ignore_signals_and_wait, begun.path(), never.path());
    ASSERT_TRUE(begun.await());
    EXPECT_TRUE(stubborn.cancel());
    EXPECT_EQ(pool.apply([] { return 7; }), 7);
    EXPECT_EQ(pool.stats().restarts, 1u);
}

// A process that is stopped does not even see SIGTERM.
int stop() {
    ::raise(SIGSTOP);
    return 1;
}

TEST_F(PoolStubborn, ItsTimeoutEndsATaskThatIsStopped) {
    mp::Pool pool(1);
    EXPECT_THROW(pool.with({.timeout = 50ms}).apply(stop), mp::TimeoutError);
    EXPECT_EQ(pool.apply([](int x) { return x; }, 5), 5);
}

TEST_F(PoolStubborn, TheEndOfThePoolEndsATaskThatIsStopped) {
    mp::Pool pool(1);
    const mp::AsyncResult<int> stopped = pool.apply_async(stop);
    EXPECT_FALSE(stopped.wait_for(100ms));
    pool.terminate();
    EXPECT_THROW(stopped.get(), mp::ClosedError);
}

}  // namespace
