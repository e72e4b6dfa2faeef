// The limit of a worker's memory.
#include <sys/mman.h>
#include <sys/resource.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <fstream>
#include <new>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "arena.hpp"
#include "support/each_start_method.hpp"

namespace {

namespace mp = multiproc;

class PoolMemory : public mp::test::EachStartMethod {};

constexpr std::uint64_t gibibyte = std::uint64_t{1} << 30;

// What this program occupies of its address space, which is terabytes under some sanitizers. 0: the system does not
// tell so.
std::uint64_t occupied() {
    std::ifstream file("/proc/self/statm");
    std::uint64_t pages = 0;
    file >> pages;
    return pages * 4096;
}

// Not every system keeps to RLIMIT_AS.
bool limit_holds() {
    mp::Process<bool> probe([] {
        const rlim_t most = occupied() + gibibyte;
        const rlimit limit{most, most};
        if (::setrlimit(RLIMIT_AS, &limit) != 0) return false;
        return ::mmap(nullptr, 4 * gibibyte, PROT_NONE, MAP_PRIVATE | MAP_ANON, -1, 0) == MAP_FAILED;
    });
    probe.start();
    return probe.result();
}

std::size_t allocate(std::size_t bytes) {
    const std::vector<char> memory(bytes);
    return memory.size();
}

TEST_F(PoolMemory, WhatATaskAsksForBeyondTheLimitFailsAndCostsThatTaskOnly) {
    const bool is_limited = limit_holds();
    mp::Pool pool({.workers = 2, .memory_limit = occupied() + 2 * gibibyte});
    EXPECT_EQ(pool.apply(allocate, 1'000'000u), 1'000'000u);
    for (int round = 0; round < 3; ++round) {
        const mp::AsyncResult<std::size_t> greedy = pool.apply_async(allocate, 4 * gibibyte);
        const mp::AsyncResult<std::size_t> modest = pool.apply_async(allocate, 2'000u);
        EXPECT_EQ(modest.get(), 2'000u);
        if (!is_limited) continue;
        try {
            greedy.get();
            ADD_FAILURE() << "it got four gibibytes";
        } catch (const std::bad_alloc&) {
        } catch (const mp::WorkerDied&) {}
    }
    EXPECT_EQ(pool.apply(allocate, 3'000u), 3'000u);
    EXPECT_TRUE(mp::test::holds_soon([&] { return pool.worker_pids().size() == 2; }));
}

TEST_F(PoolMemory, HoldsInWorkersAndNotHere) {
    rlimit before{}, after{};
    ASSERT_EQ(::getrlimit(RLIMIT_AS, &before), 0);
    const std::uint64_t limit = occupied() + 3 * gibibyte;
    mp::Pool pool({.workers = 1, .max_tasks_per_worker = 1, .memory_limit = limit});
    for (int i = 0; i < 2; ++i) {  // in the first worker and in the one that takes its place
        const std::uint64_t seen = pool.apply([] {
            rlimit now{};
            ::getrlimit(RLIMIT_AS, &now);
            return static_cast<std::uint64_t>(now.rlim_cur);
        });
        EXPECT_EQ(seen, limit + mp::Arena::size);  // where shared objects are is mapped, and does not count
    }
    ASSERT_EQ(::getrlimit(RLIMIT_AS, &after), 0);
    EXPECT_EQ(before.rlim_cur, after.rlim_cur);
}

TEST_F(PoolMemory, DoesNotCountWhatIsSetAsideForSharedObjects) {
    const std::uint64_t limit = occupied() + gibibyte / 4;  // less than that is
    mp::Pool pool({.workers = 1, .memory_limit = limit});
    const mp::Lock lock;
    EXPECT_TRUE(pool.apply([](mp::Lock mine) { return mine.try_lock(); }, lock));
    EXPECT_TRUE(lock.locked());
}

TEST_F(PoolMemory, TooLittleForAnythingIsAnErrorAndNoHang) {
    const bool is_limited = limit_holds();
    testing::internal::CaptureStderr();
    {
        mp::Pool pool({.workers = 2, .memory_limit = 4096});
        if (is_limited) { EXPECT_THROW(pool.apply(allocate, 500'000'000u), std::exception); }
    }
    testing::internal::GetCapturedStderr();
}

}  // namespace
