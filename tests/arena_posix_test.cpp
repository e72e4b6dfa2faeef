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

// An object with bits of processes beyond the first 63 has them in another object: that is not left either.
TEST(ArenaPosix, NorOfThoseThatCameLate) {
    const os::Handle memory = Arena::create_memory();
    Arena arena(os::duplicate(memory.raw()), 0);
    for (int i = 0; i < 300; ++i) {
        const Arena::Ref shared = arena.create(1, 40);
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) make_and_free(memory, 100, shared);
        std::this_thread::sleep_for(std::chrono::microseconds(300 + 37 * (i % 50)));
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
        arena.release_all(100);
        arena.release(shared);
        ASSERT_EQ(arena.object_count(), 0u) << i;
    }
}

struct Holder {
    std::uint64_t ref;
    Arena::Note note;
};
Holder& holder_in(std::byte* payload) { return *reinterpret_cast<Holder*>(payload); }
constexpr Arena::Kind holders = 2;

// A process of this number counts as holder of `shared`, and no more, until it is killed.
void count_up_and_down(const os::Handle& memory, std::uint32_t number, Arena::Ref shared) {
    Arena arena(os::duplicate(memory.raw()), number);
    for (;;) {
        const Arena::Ref holder = arena.create(holders, sizeof(Holder));
        holder_in(arena.payload(holder)).ref = shared.pack();
        if (!arena.count_up(shared, holder, holder_in(arena.payload(holder)).note)) ::_exit(1);
        arena.release(holder);
    }
}

TEST(ArenaPosix, WhatWasCountedByProcessesKilledAtAnyInstantIsTakenBack) {
    Arena::set_clear(holders, [](Arena& arena, std::byte* payload) noexcept {
        arena.count_down(Arena::Ref::unpack(holder_in(payload).ref), arena.ref_of(payload), holder_in(payload).note);
    });
    Arena::set_find_note(holders, [](std::byte* payload, Arena::Ref) noexcept { return &holder_in(payload).note; });
    const os::Handle memory = Arena::create_memory();
    Arena arena(os::duplicate(memory.raw()), 0);
    for (int i = 0; i < 300; ++i) {
        const Arena::Ref shared = arena.create(1, 40);
        pid_t children[2];
        for (std::uint32_t number : {1u, 2u}) {
            children[number - 1] = ::fork();
            ASSERT_GE(children[number - 1], 0);
            if (children[number - 1] == 0) count_up_and_down(memory, number, shared);
        }
        std::this_thread::sleep_for(std::chrono::microseconds(300 + 37 * (i % 50)));
        for (const pid_t child : children) {
            int status = 0;
            ::kill(child, SIGKILL);
            ::waitpid(child, &status, 0);
            ASSERT_TRUE(WIFSIGNALED(status)) << "the object was freed although this process holds it";
        }
        for (std::uint32_t number : {1u, 2u}) arena.release_all(number);
        ASSERT_EQ(arena.object_count(), 1u) << i;
        arena.release(shared);
        ASSERT_EQ(arena.object_count(), 0u) << i;
    }
}

}  // namespace
