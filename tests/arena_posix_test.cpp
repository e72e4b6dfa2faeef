// What processes that are killed leave in the arena.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <thread>

#include <gtest/gtest.h>

#include "arena.hpp"

namespace {

using multiproc::Arena;
namespace os = multiproc::os;

// A process of this number makes and frees objects until it is killed. `shared`: one that this process holds too.
void make_and_free(const os::Handle& memory, std::uint32_t number, Arena::Ref shared) {
    Arena arena(os::duplicate(memory.raw()), number);
    for (;;) {
        const Arena::Ref small = arena.create(1, 100), large = arena.create(1, 70'000);
        arena.hold(shared);
        arena.release(large);
        arena.release(small);
        arena.release(shared);
    }
}

TEST(ArenaPosix, NothingIsLeftOfProcessesKilledAtAnyInstant) {
    const os::Handle memory = Arena::create_memory();
    Arena arena(os::duplicate(memory.raw()), 0);
    const Arena::Ref shared = arena.create(1, 40);
    for (int i = 0; i < 300; ++i) {
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) make_and_free(memory, 1, shared);
        std::this_thread::sleep_for(std::chrono::microseconds(300 + 37 * (i % 50)));  // anywhere in it
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
        arena.release_all(1);
        ASSERT_EQ(arena.object_count(), 1u) << i;
    }
    arena.release(shared);
    EXPECT_EQ(arena.object_count(), 0u);
}

}  // namespace
