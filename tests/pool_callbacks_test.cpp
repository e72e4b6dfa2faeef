// then, co_await, executors, std::stop_token and reports of progress.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <coroutine>
#include <deque>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>
#if defined(__cpp_lib_jthread)
#include <stop_token>
#endif

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"
#include "support/gate.hpp"

namespace {

namespace mp = multiproc;
using namespace std::chrono_literals;

class PoolCallbacks : public mp::test::EachStartMethod {};

int twice(int number) { return 2 * number; }
[[noreturn]] int fail() { throw std::domain_error("no"); }

// A value that another thread gives once.
template <class T>
class Later {
public:
    void set(T value) { promise_.set_value(std::move(value)); }
    T get() {
        std::future<T> future = promise_.get_future();
        if (future.wait_for(60s) != std::future_status::ready) throw std::runtime_error("it was not set");
        return future.get();
    }

private:
    std::promise<T> promise_;
};

// An event loop in miniature: what is posted runs in the thread that calls `run_one`.
class Loop {
public:
    mp::Executor executor() {
        return [this](std::function<void()> function) {
            const std::lock_guard lock(mutex_);
            posted_.push_back(std::move(function));
            changed_.notify_all();
        };
    }
    void run_one() {
        std::unique_lock lock(mutex_);
        if (!changed_.wait_for(lock, 60s, [this] { return !posted_.empty(); })) throw std::runtime_error("no event");
        const std::function<void()> function = std::move(posted_.front());
        posted_.pop_front();
        lock.unlock();
        function();
    }
    bool is_idle() {
        const std::lock_guard lock(mutex_);
        return posted_.empty();
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> posted_;
};

std::vector<int> numbers_to(int count) {
    std::vector<int> numbers(static_cast<std::size_t>(count));
    std::iota(numbers.begin(), numbers.end(), 0);
    return numbers;
}

TEST_F(PoolCallbacks, ACallbackGetsTheReadyResultThoughNobodyWaits) {
    mp::Pool pool(2);
    Later<int> value;
    Later<std::thread::id> thread;
    pool.apply_async(twice, 21).then([&](const mp::AsyncResult<int>& result) {
        EXPECT_TRUE(result.ready());
        thread.set(std::this_thread::get_id());
        value.set(result.get());
    });
    EXPECT_EQ(value.get(), 42);
    EXPECT_NE(thread.get(), std::this_thread::get_id());
}

TEST_F(PoolCallbacks, ACallbackMayTakeNothingAndMayBeMoveOnly) {
    mp::Pool pool(1);
    Later<int> done;
    pool.apply_async(twice, 1).then([&done, held = std::make_unique<int>(5)] { done.set(*held); });
    EXPECT_EQ(done.get(), 5);
    Later<std::size_t> size;
    pool.map_async(twice, numbers_to(10)).then([&size](mp::AsyncResult<std::vector<int>> result) {
        size.set(result.get().size());
    });
    EXPECT_EQ(size.get(), 10u);
}

TEST_F(PoolCallbacks, ErrorsAreResultsToo) {
    mp::Pool pool(1);
    mp::test::Gate gate;
    Later<bool> failed;
    pool.apply_async(fail).then([&failed](const mp::AsyncResult<int>& result) { failed.set(!result.successful()); });
    EXPECT_TRUE(failed.get());
    const mp::AsyncResult<int> stuck = pool.apply_async(mp::test::pass_gate, gate.path(), 1);
    Later<bool> cancelled;
    stuck.then([&cancelled](const mp::AsyncResult<int>& result) {
        EXPECT_THROW(result.get(), mp::CancelledError);
        cancelled.set(true);
    });
    EXPECT_TRUE(stuck.cancel());
    EXPECT_TRUE(cancelled.get());
}

TEST_F(PoolCallbacks, AReadyResultCallsBackToo) {
    mp::Pool pool(1);
    const mp::AsyncResult<int> result = pool.apply_async(twice, 4);
    result.wait();
    for (int i = 0; i < 3; ++i) {
        Later<int> value;
        result.then([&value](const mp::AsyncResult<int>& ready) { value.set(ready.get()); });
        EXPECT_EQ(value.get(), 8);
    }
}

TEST_F(PoolCallbacks, EachOnceAndInOrderOfCompletion) {
    constexpr int count = 2000;
    std::vector<int> order;  // touched by the callback thread alone until join
    {
        mp::Pool pool(1);  // one worker completes them in the order they were submitted
        for (int i = 0; i < count; ++i)
            pool.apply_async(twice, i).then(
                [&order, i](const mp::AsyncResult<int>& r) { order.push_back(i + 0 * r.get()); });
        pool.close();
        pool.join();
        EXPECT_EQ(order, numbers_to(count));
    }
    EXPECT_EQ(order.size(), static_cast<std::size_t>(count));
}

TEST_F(PoolCallbacks, JoinRunsAllOfThemFirst) {
    mp::Pool pool(3);
    std::atomic<int> calls = 0;
    for (int i = 0; i < 500; ++i) pool.apply_async(twice, i).then([&calls] { ++calls; });
    pool.map_async(twice, numbers_to(1000)).then([&calls] { ++calls; });
    pool.close();
    pool.join();
    EXPECT_EQ(calls, 501);
}

TEST_F(PoolCallbacks, TheEndOfAPoolRunsThoseOfTasksWithoutResult) {
    mp::test::Gate gate;
    std::atomic<int> closed = 0;
    const auto note = [&closed](const mp::AsyncResult<int>& result) {
        try {
            result.get();
        } catch (const mp::ClosedError&) { ++closed; }
    };
    {
        mp::Pool pool(2);
        for (int i = 0; i < 100; ++i) pool.apply_async(mp::test::pass_gate, gate.path(), i).then(note);
    }
    EXPECT_EQ(closed, 100);
    {
        mp::Pool pool(2);
        for (int i = 0; i < 100; ++i) pool.apply_async(mp::test::pass_gate, gate.path(), i).then(note);
        pool.terminate();
        EXPECT_EQ(closed, 200);
    }
    EXPECT_EQ(closed, 200);
    gate.open();
}

TEST_F(PoolCallbacks, ACallbackMayThrow) {
    mp::Pool pool(1);
    testing::internal::CaptureStderr();
    Later<int> value;
    const mp::AsyncResult<int> result = pool.apply_async(twice, 1);
    result.then([](const mp::AsyncResult<int>&) { throw std::range_error("thrown by a callback"); });
    result.then([&value] { value.set(1); });
    EXPECT_EQ(value.get(), 1);
    EXPECT_NE(testing::internal::GetCapturedStderr().find("thrown by a callback"), std::string::npos);
    EXPECT_EQ(pool.apply(twice, 2), 4);
}

TEST_F(PoolCallbacks, ACallbackMaySubmitAndChain) {
    mp::Pool pool(2);
    Later<int> value;
    std::function<void(const mp::AsyncResult<int>&)> step = [&](const mp::AsyncResult<int>& result) {
        const int now = result.get();
        if (now >= 1000) return value.set(now);
        pool.apply_async(twice, now).then(step);
    };
    pool.apply_async(twice, 1).then(step);
    EXPECT_EQ(value.get(), 1024);
    Later<int> sum;
    pool.apply_async(twice, 1).then([&pool, &sum] {
        const std::vector<int> all = pool.map(twice, numbers_to(100));  // waits for other results of the same pool
        sum.set(std::accumulate(all.begin(), all.end(), 0));
    });
    EXPECT_EQ(sum.get(), 9900);
}

TEST_F(PoolCallbacks, ACallbackMayTerminateThePool) {
    mp::Pool pool(2);
    mp::test::Gate gate;
    const mp::AsyncResult<int> stuck = pool.apply_async(mp::test::pass_gate, gate.path(), 1);
    std::atomic<int> behind = 0;
    stuck.then([&behind] { ++behind; });
    Later<bool> ended;
    pool.apply_async(twice, 1).then([&] {
        pool.terminate();
        pool.terminate();
        pool.join();
        ended.set(true);
    });
    EXPECT_TRUE(ended.get());
    EXPECT_THROW(stuck.get(), mp::ClosedError);
    EXPECT_THROW(pool.apply(twice, 1), mp::ClosedError);
    pool.terminate();  // waits for the callbacks behind that one
    EXPECT_EQ(behind, 1);
    gate.open();
}

TEST_F(PoolCallbacks, ACallbackMayDestroyThePool) {
    auto pool = std::make_shared<mp::Pool>(1);
    mp::test::Gate gate;
    Later<bool> gone;
    std::weak_ptr<mp::Pool> watch = pool;
    mp::AsyncResult<int> result = pool->apply_async(mp::test::pass_gate, gate.path(), 1);
    result.then([&gone, &watch, pool = std::move(pool)]() mutable {
        pool.reset();
        gone.set(watch.expired());
    });
    gate.open();
    EXPECT_TRUE(gone.get());
    EXPECT_EQ(result.get(), 1);
}

TEST_F(PoolCallbacks, AnExecutorRunsThemWhereItLikes) {
    mp::Pool pool(1);
    Loop loop;
    std::thread::id ran_in;
    pool.apply_async(twice, 1).then([&ran_in] { ran_in = std::this_thread::get_id(); }, loop.executor());
    loop.run_one();
    EXPECT_EQ(ran_in, std::this_thread::get_id());
    ran_in = {};
    pool.with({.executor = loop.executor()}).apply_async(twice, 1).then([&ran_in] {
        ran_in = std::this_thread::get_id();
    });
    loop.run_one();
    EXPECT_EQ(ran_in, std::this_thread::get_id());
}

TEST_F(PoolCallbacks, ManyThreadsAskToBeCalledWhileResultsCome) {
    mp::Pool pool(2);
    std::atomic<int> calls = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 200; ++i) {
                const mp::AsyncResult<int> result = pool.apply_async(twice, i);
                result.then([&calls] { ++calls; });
                if (i % 3 == 0) result.wait();
                result.then([&calls] { ++calls; });
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    pool.close();
    pool.join();
    EXPECT_EQ(calls, 8 * 200 * 2);
}

// A coroutine that runs until its end on its own.
struct Detached {
    struct promise_type {
        Detached get_return_object() noexcept { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() noexcept {}
        void unhandled_exception() noexcept { std::terminate(); }
    };
};

Detached add_up(mp::Pool& pool, Later<int>& sum) {
    int total = 0;
    for (int i = 0; i < 10; ++i) total += co_await pool.apply_async(twice, i);
    sum.set(total);
}

TEST_F(PoolCallbacks, ACoroutineAwaitsResults) {
    mp::Pool pool(2);
    Later<int> sum;
    add_up(pool, sum);
    EXPECT_EQ(sum.get(), 90);
}

Detached await_error(mp::Pool& pool, Later<bool>& caught) {
    bool is_caught = false;
    try {
        co_await pool.apply_async(fail);
    } catch (const std::domain_error&) { is_caught = true; }
    caught.set(is_caught);
}

TEST_F(PoolCallbacks, ACoroutineCatchesTheError) {
    mp::Pool pool(1);
    Later<bool> caught;
    await_error(pool, caught);
    EXPECT_TRUE(caught.get());
}

Detached await_on(const mp::AsyncResult<int>& result, mp::Executor executor, std::thread::id& ran_in, int& value) {
    value = co_await result.on(std::move(executor));
    ran_in = std::this_thread::get_id();
}

TEST_F(PoolCallbacks, ACoroutineGoesOnWhereTheExecutorTakesItAlsoWhenReady) {
    mp::Pool pool(1);
    Loop loop;
    const mp::AsyncResult<int> result = pool.apply_async(twice, 6);
    for (int i = 0; i < 2; ++i) {
        std::thread::id ran_in;
        int value = 0;
        await_on(result, loop.executor(), ran_in, value);
        EXPECT_EQ(value, 0);
        loop.run_one();
        EXPECT_EQ(value, 12);
        EXPECT_EQ(ran_in, std::this_thread::get_id());
    }
}

Detached await_refused(const mp::AsyncResult<int>& result, mp::Executor executor, Later<std::string>& error) {
    try {
        co_await result.on(std::move(executor));
        error.set("none");
    } catch (const std::domain_error& caught) { error.set(caught.what()); }
}

TEST_F(PoolCallbacks, ACoroutineIsToldThatItsExecutorThrew) {
    mp::Pool pool(1);
    const mp::AsyncResult<int> result = pool.apply_async(twice, 6);
    Later<std::string> error;
    await_refused(
        result, [](const std::function<void()>&) { throw std::domain_error("the loop is closed"); }, error);
    EXPECT_EQ(error.get(), "the loop is closed");
}

TEST_F(PoolCallbacks, AnExecutorThatThrowsAfterItRanACoroutineDoesNotRunItAgain) {
    mp::Pool pool(1);
    const mp::AsyncResult<int> result = pool.apply_async(twice, 6);
    Later<std::string> error;
    await_refused(
        result,
        [](const std::function<void()>& run) {
            run();
            throw std::domain_error("too late");
        },
        error);
    EXPECT_EQ(error.get(), "none");
}

#if defined(__cpp_lib_jthread)
TEST_F(PoolCallbacks, AStopEndsTheWaitAndNotTheTask) {
    mp::Pool pool(1);
    mp::test::Gate gate;
    const mp::AsyncResult<int> result = pool.apply_async(mp::test::pass_gate, gate.path(), 3);
    std::stop_source stopped;
    stopped.request_stop();
    EXPECT_THROW(result.get(stopped.get_token()), mp::CancelledError);
    // (MinGW's own stop_callback can hang under Wine when several threads end theirs at once, also without a pool.)
#if !defined(__MINGW32__)
    for (int i = 0; i < 50; ++i) {
        std::stop_source source;
        std::atomic<int> waiting = 0;
        std::vector<std::jthread> threads;
        for (int t = 0; t < 3; ++t) {
            threads.emplace_back([&] {
                ++waiting;
                EXPECT_THROW(result.get(source.get_token()), mp::CancelledError);
            });
        }
        while (waiting != 3) std::this_thread::yield();
        source.request_stop();
    }
#endif
    EXPECT_FALSE(result.ready());
    gate.open();
    EXPECT_EQ(result.get(std::stop_source().get_token()), 3);
    EXPECT_EQ(result.get(stopped.get_token()), 3);
}
#endif

// What a receiver of progress sees.
struct Seen {
    std::mutex mutex;
    std::vector<mp::Progress> reports;
    std::function<void(const mp::Progress&)> receiver() {
        return [this](const mp::Progress& progress) {
            const std::lock_guard lock(mutex);
            reports.push_back(progress);
        };
    }
    void check(std::uint64_t total) {
        const std::lock_guard lock(mutex);
        ASSERT_FALSE(reports.empty());
        for (std::size_t i = 1; i < reports.size(); ++i) {
            EXPECT_GE(reports[i].done, reports[i - 1].done);
            EXPECT_GE(reports[i].total, reports[i - 1].total);
            EXPECT_GE(reports[i].elapsed, reports[i - 1].elapsed);
        }
        for (const mp::Progress& report : reports) EXPECT_LE(report.done, report.total);
        EXPECT_EQ(reports.back().done, total);
        EXPECT_EQ(reports.back().total, total);
        EXPECT_EQ(reports.back().remaining, 0ns);
    }
};

TEST_F(PoolCallbacks, ProgressIsReportedUntilTheEnd) {
    mp::Pool pool(2);
    for (const int count : {1, 10, 20'000}) {
        Seen map;
        pool.with({.on_progress = map.receiver()}).map(twice, numbers_to(count));
        map.check(static_cast<std::uint64_t>(count));  // the last report was before map returned

        Seen async;
        pool.with({.chunk_size = 10, .on_progress = async.receiver()}).map_async(twice, numbers_to(count));
        EXPECT_TRUE(mp::test::holds_soon([&] {
            const std::lock_guard lock(async.mutex);
            return !async.reports.empty() && async.reports.back().done == static_cast<std::uint64_t>(count) &&
                   async.reports.back().total == static_cast<std::uint64_t>(count);
        }));
        async.check(static_cast<std::uint64_t>(count));

        Seen imap;
        {
            mp::ImapResults<int> results = pool.with({.on_progress = imap.receiver()}).imap(twice, numbers_to(count));
            while (results.next()) {}
        }
        imap.check(static_cast<std::uint64_t>(count));
    }
}

TEST_F(PoolCallbacks, ProgressOfFailuresAndThroughManyThreads) {
    Seen seen;
    std::vector<std::thread> threads;
    {
        mp::Pool pool(2);
        const mp::Executor executor = [&threads](std::function<void()> run) { threads.emplace_back(std::move(run)); };
        const auto odd_throws = [](int number) {
            if (number % 2 != 0) throw std::domain_error("odd");
            return number;
        };
        const mp::AsyncResult<std::vector<int>> result =
            pool.with({.on_progress = seen.receiver(), .executor = executor}).map_async(odd_throws, numbers_to(300));
        EXPECT_THROW(result.get(), std::domain_error);
        EXPECT_TRUE(mp::test::holds_soon([&seen] {
            const std::lock_guard lock(seen.mutex);
            return !seen.reports.empty() && seen.reports.back().done == 300;
        }));
        pool.close();
        pool.join();
    }
    for (std::thread& thread : threads) thread.join();
    seen.check(300);
}

TEST_F(PoolCallbacks, AReceiverOfProgressMayThrow) {
    mp::Pool pool(1);
    testing::internal::CaptureStderr();
    std::atomic<int> calls = 0;
    const std::vector<int> all = pool.with({.on_progress =
                                                [&calls](const mp::Progress&) {
                                                    ++calls;
                                                    throw std::range_error("thrown by on_progress");
                                                }})
                                     .map(twice, numbers_to(100));
    pool.terminate();  // behind the last callback
    EXPECT_EQ(all.size(), 100u);
    EXPECT_GE(calls, 1);
    EXPECT_NE(testing::internal::GetCapturedStderr().find("thrown by on_progress"), std::string::npos);
}

}  // namespace
