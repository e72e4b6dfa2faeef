// Signals that arrive while a thread waits for a process.
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <thread>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"

namespace {

using namespace std::chrono_literals;
namespace mp = multiproc;

using ProcessJoinPosix = mp::test::EachStartMethod;

std::atomic<int> signals_seen = 0;

// An interrupting handler, as a program has it that wants EINTR.
class InterruptingSignals {
public:
    InterruptingSignals() : thread_(::pthread_self()) {
        struct sigaction action {};
        action.sa_handler = [](int) { ++signals_seen; };
        ::sigaction(SIGUSR1, &action, &before_);
        signals_seen = 0;
        sender_ = std::thread([this] {
            while (!stop_) {
                ::pthread_kill(thread_, SIGUSR1);
                std::this_thread::sleep_for(1ms);
            }
        });
    }
    ~InterruptingSignals() {
        stop_ = true;
        sender_.join();
        ::sigaction(SIGUSR1, &before_, nullptr);
    }

private:
    pthread_t thread_;
    struct sigaction before_ {};
    std::atomic<bool> stop_ = false;
    std::thread sender_;
};

int nap() {
    std::this_thread::sleep_for(100ms);
    return 5;
}

TEST_F(ProcessJoinPosix, join_is_not_broken_by_signals) {
    const InterruptingSignals signals;
    mp::Process p(nap);
    p.start();
    p.join();
    EXPECT_EQ(p.exit_status(), mp::ExitStatus::exited(0));
    EXPECT_EQ(p.result(), 5);
    EXPECT_GT(signals_seen, 0);
}

TEST_F(ProcessJoinPosix, join_for_keeps_its_limit_under_signals) {
    const InterruptingSignals signals;
    mp::Process p([] { std::this_thread::sleep_for(1h); });
    p.start();
    const auto start = std::chrono::steady_clock::now();
    EXPECT_FALSE(p.join_for(100ms));
    EXPECT_GE(std::chrono::steady_clock::now() - start, 100ms);
    p.kill();
    p.join();
    EXPECT_GT(signals_seen, 0);
}

TEST_F(ProcessJoinPosix, start_is_not_broken_by_signals) {
    const InterruptingSignals signals;
    for (int i = 0; i < 20; ++i) {
        mp::Process p([] { return 7; });
        p.start();
        EXPECT_EQ(p.result(), 7);
    }
}

}  // namespace
