// Plain shared bytes, and what other libraries put into them.
#include <algorithm>
#include <cstddef>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"

namespace {

namespace mp = multiproc;
using SharedMemoryTest = mp::test::EachStartMethod;

TEST_F(SharedMemoryTest, is_the_same_in_every_process) {
    mp::SharedMemory memory(100'000);
    EXPECT_EQ(memory.size(), 100'000u);
    EXPECT_TRUE(std::ranges::all_of(memory.buf(), [](std::byte b) { return b == std::byte{0}; }));
    mp::Process process(
        [](mp::SharedMemory mine) {
            std::ranges::fill(mine.buf(), std::byte{7});
            return mine;
        },
        memory);
    process.start();
    const mp::SharedMemory same = process.result();
    EXPECT_EQ(same.data(), memory.data());
    EXPECT_TRUE(std::ranges::all_of(memory.buf(), [](std::byte b) { return b == std::byte{7}; }));
    memory.close();
    EXPECT_EQ(memory.size(), 0u);
    EXPECT_EQ(same.buf().back(), std::byte{7});
}

TEST_F(SharedMemoryTest, a_worker_can_make_it) {
    mp::Pool pool(2);
    const auto made = pool.map(
        [](int size) {
            mp::SharedMemory memory(static_cast<std::size_t>(size));
            std::ranges::fill(memory.buf(), static_cast<std::byte>(size));
            return memory;
        },
        std::vector{0, 1, 200});
    EXPECT_EQ(made[0].size(), 0u);
    EXPECT_EQ(made[1].buf()[0], std::byte{1});
    EXPECT_EQ(made[2].buf()[199], std::byte{200});
}

}  // namespace
