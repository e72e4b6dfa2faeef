// Values and arrays in the memory that all processes share.
#include <algorithm>
#include <array>
#include <cstddef>
#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"

namespace {

namespace mp = multiproc;
using SyncValue = mp::test::EachStartMethod;

bool is_zero(const mp::RawArray<int>& array) {
    return std::ranges::all_of(array, [](int x) { return x == 0; });
}

TEST_F(SyncValue, arrays_are_zeroed_also_in_reused_memory) {
    for (const std::size_t size : {1u, 15u, 1'000u, 100'000u}) {
        for (int round = 0; round < 4; ++round) {
            const mp::RawArray<int> array(size);
            ASSERT_TRUE(is_zero(array)) << size;
            std::ranges::fill(array, -1);
            mp::Process other(
                [](std::size_t count) {
                    const mp::RawArray<int> mine(count);
                    const bool was_zero = is_zero(mine);
                    std::ranges::fill(mine, -1);
                    return was_zero;
                },
                size);
            other.start();
            ASSERT_TRUE(other.result()) << size;
        }
    }
}

TEST_F(SyncValue, with_its_lock_no_change_is_lost) {
    constexpr int rounds = 2'000;
    const mp::Value<int> total(0);
    const mp::Array<int> totals(2);
    const auto count = [](mp::Value<int> one, mp::Array<int> two) {
        for (int i = 0; i < rounds; ++i) {
            {
                const std::scoped_lock guard(one.get_lock());
                *one += 1;
            }
            const std::scoped_lock guard(two.get_lock());
            two[i % 2] += 1;
        }
    };
    std::array<mp::Process<void>, 2> processes{mp::Process<void>(count, total, totals),
                                               mp::Process<void>(count, total, totals)};
    for (auto& process : processes) process.start();
    std::thread(count, total, totals).join();
    for (auto& process : processes) process.result();
    EXPECT_EQ(*total, 3 * rounds);
    EXPECT_EQ(totals[0], 3 * rounds / 2);
    EXPECT_EQ(totals[1], 3 * rounds / 2);
}

}  // namespace
