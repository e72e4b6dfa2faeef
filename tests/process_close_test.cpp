// What may be called when: close, use after close, starting twice.
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"

namespace {

using namespace std::chrono_literals;
namespace mp = multiproc;

using ProcessClose = mp::test::EachStartMethod;

int one() { return 1; }
void sleep_long() { std::this_thread::sleep_for(1h); }

TEST_F(ProcessClose, close_while_alive_is_an_error) {
    mp::Process p(sleep_long);
    p.start();
    EXPECT_THROW(p.close(), std::logic_error);
    EXPECT_TRUE(p.is_alive()) << "the error changes nothing";
    p.kill();
    p.join();
    p.close();
}

TEST_F(ProcessClose, after_close_every_use_is_an_error_and_a_second_close_is_fine) {
    mp::Process p(one);
    p.start();
    p.join();
    const mp::Sentinel sentinel = p.sentinel();
    p.close();
    p.close();
    EXPECT_THROW(p.start(), mp::ClosedError);
    EXPECT_THROW(p.join(), mp::ClosedError);
    EXPECT_THROW(p.join_for(0s), mp::ClosedError);
    EXPECT_THROW(p.is_alive(), mp::ClosedError);
    EXPECT_THROW(p.exit_status(), mp::ClosedError);
    EXPECT_THROW(p.terminate(), mp::ClosedError);
    EXPECT_THROW(p.kill(), mp::ClosedError);
    EXPECT_THROW(p.interrupt(), mp::ClosedError);
    EXPECT_THROW(p.pid(), mp::ClosedError);
    EXPECT_THROW(p.name(), mp::ClosedError);
    EXPECT_THROW(p.daemon(), mp::ClosedError);
    EXPECT_THROW(p.sentinel(), mp::ClosedError);
    EXPECT_THROW(p.result(), mp::ClosedError);
    EXPECT_TRUE(sentinel.ready()) << "a sentinel is a value of its own";
}

TEST_F(ProcessClose, close_before_start_is_fine) {
    mp::Process p(one);
    p.close();
    EXPECT_THROW(p.start(), mp::ClosedError);
}

TEST_F(ProcessClose, closed_processes_keep_no_handles) {
    std::vector<mp::Process<int>> all;
    const std::size_t before = mp::test::open_handles();
    for (int i = 0; i < 10; ++i) {
        all.emplace_back(one);
        all.back().start();
        all.back().join();
        all.back().close();
    }
    EXPECT_TRUE(mp::test::holds_soon([before] { return mp::test::open_handles() <= before; }))
        << mp::test::open_handles() << " handles, " << before << " before";
}

TEST_F(ProcessClose, starting_twice_is_an_error) {
    mp::Process p(one);
    p.start();
    EXPECT_THROW(p.start(), std::logic_error);
    EXPECT_EQ(p.result(), 1);
    EXPECT_THROW(p.start(), std::logic_error);
    EXPECT_EQ(p.result(), 1);
}

TEST_F(ProcessClose, of_many_threads_that_start_it_one_does) {
    mp::Process p(one);
    std::atomic<int> started = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&] {
            try {
                p.start();
                ++started;
            } catch (const std::logic_error&) {}
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(started, 1);
    EXPECT_EQ(p.result(), 1);
}

TEST_F(ProcessClose, a_process_that_is_never_started_costs_nothing) {
    for (int i = 0; i < 100; ++i)
        mp::Process p([](const std::string& text) { return text; }, std::string(100'000, 'x'));
}

}  // namespace
