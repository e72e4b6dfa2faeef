// What users' callables hold is destroyed where its destructor may do anything: also use the pool, or end it.
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"
#include "support/gate.hpp"

namespace {

namespace mp = multiproc;

class PoolCaptures : public mp::test::EachStartMethod {};

int twice(int number) { return 2 * number; }
const mp::Executor run_at_once = [](const std::function<void()>& function) { function(); };

// Uses the pool when it is destroyed.
class User {
public:
    User(mp::Pool& pool, std::atomic<int>& ended) : pool_(&pool), ended_(&ended) {}
    User(const User&) = delete;
    User& operator=(const User&) = delete;
    ~User() {
        try {
            pool_->apply_async(twice, 1);
            pool_->stats();
        } catch (const mp::ClosedError&) {}
        ++*ended_;
    }

private:
    mp::Pool* pool_;
    std::atomic<int>* ended_;
};

TEST_F(PoolCaptures, AnExecutorMayHoldTheLastOfThePool) {
    for (const bool waits : {false, true}) {
        auto pool = std::make_shared<mp::Pool>(2);
        const std::weak_ptr<mp::Pool> seen = pool;
        {
            const mp::AsyncResult<int> result =
                pool->with({.executor = [pool](const std::function<void()>& f) { f(); }}).apply_async(twice, 1);
            if (waits) result.wait();
        }
        pool.reset();
        EXPECT_TRUE(mp::test::holds_soon([&] { return seen.expired(); }));
    }
}

TEST_F(PoolCaptures, AReportOfProgressMayHoldTheLastOfThePool) {
    for (const bool waits : {false, true}) {
        auto pool = std::make_shared<mp::Pool>(2);
        const std::weak_ptr<mp::Pool> seen = pool;
        {
            const auto result =
                pool->with({.on_progress = [pool](const mp::Progress&) {}}).map_async(twice, std::views::iota(0, 100));
            if (waits) result.wait();
        }
        pool.reset();
        EXPECT_TRUE(mp::test::holds_soon([&] { return seen.expired(); }));
    }
}

TEST_F(PoolCaptures, AContinuationMayHoldTheLastOfThePool) {
    for (const bool waits : {false, true}) {
        for (const bool has_executor : {false, true}) {
            auto pool = std::make_shared<mp::Pool>(2);
            const std::weak_ptr<mp::Pool> seen = pool;
            {
                const mp::AsyncResult<int> result = pool->apply_async(twice, 1);
                if (waits) result.wait();
                result.then([pool] {}, has_executor ? run_at_once : mp::Executor());
            }
            pool.reset();
            EXPECT_TRUE(mp::test::holds_soon([&] { return seen.expired(); }));
        }
    }
}

TEST_F(PoolCaptures, WhatIsHeldMayUseThePoolHoweverItsCallEnds) {
    std::atomic<int> ended{0};
    int made = 0;
    {
        const mp::test::Gate gate;
        mp::Pool pool(1);
        const auto options = [&] {
            auto user = std::make_shared<User>(pool, ended);
            ++made;
            return mp::CallOptions{.on_progress = [user](const mp::Progress&) {},
                                   .executor = [user](const std::function<void()>& f) { f(); }};
        };
        const auto then_too = [&](const auto& result) {
            result.then([user = std::make_shared<User>(pool, ended)] {});
            ++made;
        };
        const mp::AsyncResult<int> first = pool.apply_async(mp::test::pass_gate, gate.path(), 1);
        then_too(pool.with(options()).apply_async(twice, 1));
        // Cancelled before it was begun; withdrawn with its imap; and one that cannot be encoded.
        {
            const mp::AsyncResult<int> cancelled = pool.with(options()).apply_async(twice, 2);
            then_too(cancelled);
            EXPECT_TRUE(cancelled.cancel());
        }
        { auto results = pool.with(options()).imap(twice, std::views::iota(0)); }
        EXPECT_THROW(pool.with(options()).map(twice, std::views::iota(0, 10) | std::views::transform([](int x) {
                                                         if (x == 5) throw std::out_of_range("input");
                                                         return x;
                                                     })),
                     std::out_of_range);
        gate.open();
        EXPECT_EQ(first.get(), 1);
        EXPECT_EQ(pool.with(options()).map(twice, std::vector<int>{1, 2}), (std::vector<int>{2, 4}));
        then_too(pool.with(options()).apply_async(mp::test::pass_gate, std::string("never opened"), 1));
        pool.terminate();
        EXPECT_THROW(pool.with(options()).apply(twice, 1), mp::ClosedError);
        EXPECT_TRUE(mp::test::holds_soon([&] { return ended == made; })) << ended << " of " << made;
    }
}

TEST_F(PoolCaptures, APoolWithoutWorkersDestroysThemWithoutItsLockToo) {
    std::atomic<int> ended{0};
    mp::Pool pool(0);
    for (int i = 0; i < 10; ++i) {
        auto user = std::make_shared<User>(pool, ended);
        const mp::PoolWith with = pool.with({.on_progress = [user](const mp::Progress&) {},
                                             .executor = [user](const std::function<void()>& f) { f(); }});
        user.reset();
        mp::PoolWith copy = with;
        copy.apply_async(twice, 1).then([held = std::make_shared<User>(pool, ended)] {});
        copy.map(twice, std::vector<int>{1, 2});
    }
    EXPECT_TRUE(mp::test::holds_soon([&] { return ended == 20; }));
}

// ---- pools whose callbacks end each other ----

TEST_F(PoolCaptures, CallbacksOfTwoPoolsMayTerminateEachOthersPoolAtTheSameTime) {
    for (int round = 0; round < 10; ++round) {
        mp::Pool a(1);
        mp::Pool b(1);
        std::atomic<int> inside{0};
        std::atomic<int> done{0};
        const auto end = [&](mp::Pool& other) {
            ++inside;
            while (inside < 2) std::this_thread::yield();
            other.terminate();
            ++done;
        };
        a.apply_async(twice, 1).then([&] { end(b); });
        b.apply_async(twice, 1).then([&] { end(a); });
        EXPECT_TRUE(mp::test::holds_soon([&] { return done == 2; }));
    }
}

TEST_F(PoolCaptures, CallbacksOfTwoPoolsMayDestroyEachOthersPoolAtTheSameTime) {
    for (int round = 0; round < 10; ++round) {
        auto a = std::make_unique<mp::Pool>(1);
        auto b = std::make_unique<mp::Pool>(1);
        std::atomic<int> inside{0};
        std::atomic<int> done{0};
        const auto end = [&](std::unique_ptr<mp::Pool>& other) {
            ++inside;
            while (inside < 2) std::this_thread::yield();
            other.reset();
            ++done;
        };
        const mp::AsyncResult<int> first = a->apply_async(twice, 1);
        const mp::AsyncResult<int> second = b->apply_async(twice, 1);
        first.then([&] { end(b); });
        second.then([&] { end(a); });
        EXPECT_TRUE(mp::test::holds_soon([&] { return done == 2; }));
    }
}

}  // namespace
