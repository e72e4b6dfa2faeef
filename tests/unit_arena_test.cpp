// The arena of shared objects, as several processes see it: here each is a view of the same memory in one process.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <random>
#include <thread>
#include <vector>

#include "arena.hpp"

namespace {

using multiproc::Arena;
namespace os = multiproc::os;
using Ref = Arena::Ref;

constexpr Arena::Kind plain = 1;

class ArenaTest : public testing::Test {
protected:
    // The view of a process with this index.
    Arena view(std::uint32_t process) { return Arena(os::duplicate(memory_.raw()), process); }

    os::Handle memory_ = Arena::create_memory();
};

bool is_zero(const Arena& arena, Ref ref) {
    const std::byte* const begin = arena.payload(ref);
    return std::all_of(begin, begin + arena.payload_size(ref), [](std::byte byte) { return byte == std::byte{0}; });
}

TEST_F(ArenaTest, an_object_is_there_until_its_last_holder_lets_go) {
    Arena first = view(0);
    Arena second = view(1);
    const Ref ref = first.create(plain, 100);
    EXPECT_EQ(first.object_count(), 1u);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first.payload(ref)) % Arena::alignment, 0u);
    *first.payload(ref) = std::byte{7};
    ASSERT_TRUE(second.hold(ref));
    ASSERT_TRUE(second.hold(ref)) << "holding twice is holding once";
    first.release(ref);
    first.release(ref);
    EXPECT_EQ(*second.payload(ref), std::byte{7});
    EXPECT_EQ(second.payload_size(ref), 100u);
    EXPECT_EQ(second.kind(ref), plain);
    second.release(ref);
    EXPECT_EQ(first.object_count(), 0u);
    EXPECT_FALSE(first.hold(ref));
}

// Who comes to hold an object by a name that is being given up must not take anything from its successor, which has the
// same place and may be held by the same process.
TEST_F(ArenaTest, a_late_hold_takes_nothing_from_the_next_object_in_that_place) {
    constexpr std::uint32_t other = 7;
    Arena arena = view(0);
    Arena of_other = view(other);
    std::atomic<std::uint64_t> published{0};
    std::atomic<bool> is_over{false};
    std::vector<std::thread> late;
    for (int i = 0; i < 3; ++i) {
        late.emplace_back([&] {
            while (!is_over) {
                const Ref ref = Ref::unpack(published.load());
                if (ref && arena.exists(ref)) arena.hold_for(ref, other);
            }
        });
    }
    int lost = 0;
    for (int i = 0; i < 200'000; ++i) {
        const Ref ref = arena.create(plain, 64);
        lost += !arena.hold_for(ref, other);
        arena.release(ref);
        for (int looks = 0; looks < 20; ++looks) lost += !arena.exists(ref);
        published = ref.pack();
        of_other.release(ref);
    }
    is_over = true;
    for (std::thread& thread : late) thread.join();
    EXPECT_EQ(lost, 0);
}

TEST_F(ArenaTest, what_took_the_place_of_an_object_is_not_taken_for_it) {
    Arena arena = view(0);
    const Ref old = arena.create(plain, 40);
    arena.release(old);
    const Ref next = arena.create(plain, 40);
    ASSERT_EQ(next.place, old.place) << "the place is used again";
    EXPECT_FALSE(arena.hold(old));
    arena.release(old);
    EXPECT_TRUE(arena.hold(next)) << "letting go of the old one does nothing to it";
}

TEST_F(ArenaTest, references_that_cannot_be_are_refused) {
    Arena arena = view(0);
    const Ref ref = arena.create(plain, 40);
    for (const Ref wrong :
         {Ref{}, Ref{0, 1}, Ref{1, 1}, Ref{ref.place, ref.generation + 1}, Ref{ref.place + 1, ref.generation},
          Ref{UINT32_MAX, ref.generation}, Ref{Arena::size / Arena::alignment - 1, 0}})
        EXPECT_FALSE(arena.hold(wrong)) << wrong.place << ' ' << wrong.generation;
}

TEST_F(ArenaTest, memory_is_zeroed_also_when_it_is_used_again) {
    Arena arena = view(0);
    for (const std::size_t size : {std::size_t{1}, std::size_t{64}, std::size_t{5'000}, std::size_t{300'000}}) {
        for (int round = 0; round < 3; ++round) {
            const Ref ref = arena.create(plain, size);
            ASSERT_TRUE(is_zero(arena, ref)) << size;
            std::memset(arena.payload(ref), 0xff, size);
            arena.release(ref);
        }
    }
    // Where a large object was, small ones come.
    std::vector<Ref> small;
    for (int i = 0; i < 2'000; ++i) small.push_back(arena.create(plain, 200));
    for (const Ref ref : small) ASSERT_TRUE(is_zero(arena, ref));
    for (const Ref ref : small) arena.release(ref);
    EXPECT_EQ(arena.object_count(), 0u);
}

TEST_F(ArenaTest, five_thousand_random_allocations_and_frees_end_with_it_empty) {
    std::vector<std::thread> processes;
    std::atomic<int> spoilt{0};
    for (std::uint32_t process = 0; process < 4; ++process) {
        processes.emplace_back([this, process, &spoilt] {
            Arena arena = view(process * 70);  // some of them beyond the first 64
            std::mt19937 random(process);
            std::vector<std::pair<Ref, std::size_t>> held;
            const auto drop = [&](std::size_t index) {
                const auto [ref, size] = held[index];
                const std::byte* const begin = arena.payload(ref);
                if (!std::all_of(begin, begin + size, [&](std::byte byte) { return byte == std::byte(process + 1); }))
                    ++spoilt;
                arena.release(ref);
                held[index] = held.back();
                held.pop_back();
            };
            for (int i = 0; i < 1'250; ++i) {
                const std::size_t size = std::size_t{1} << random() % 18;
                held.emplace_back(arena.create(plain, size), size);
                std::memset(arena.payload(held.back().first), static_cast<int>(process + 1), size);
                if (held.size() > 50) drop(random() % held.size());
            }
            while (!held.empty()) drop(0);
        });
    }
    for (std::thread& process : processes) process.join();
    EXPECT_EQ(spoilt, 0);
    EXPECT_EQ(view(0).object_count(), 0u);
}

TEST_F(ArenaTest, what_a_dead_process_held_is_taken_back) {
    Arena living = view(0);
    Arena dying = view(3);
    const Ref shared = living.create(plain, 10);
    ASSERT_TRUE(dying.hold(shared));
    const Ref own = dying.create(plain, 10);
    const Ref large = dying.create(plain, 1'000'000);
    const Ref given = dying.create(plain, 10);
    ASSERT_TRUE(living.hold(given));
    living.release_all(3);
    EXPECT_FALSE(living.hold(own));
    EXPECT_FALSE(living.hold(large));
    EXPECT_TRUE(living.hold(shared));
    EXPECT_TRUE(living.hold(given));
    living.release_all(3);
    EXPECT_EQ(living.object_count(), 2u);
}

TEST_F(ArenaTest, processes_with_high_numbers_hold_as_others_do) {
    Arena low = view(1);
    Arena high = view(4'095);
    Arena other = view(64);
    const Ref ref = low.create(plain, 10);
    ASSERT_TRUE(high.hold(ref));
    ASSERT_TRUE(other.hold(ref));
    low.release(ref);
    high.release(ref);
    EXPECT_TRUE(low.hold(ref));
    low.release(ref);
    low.release_all(64);
    EXPECT_EQ(low.object_count(), 0u);
    const Ref made = high.create(plain, 100);
    EXPECT_TRUE(low.hold(made));
    high.release(made);
    low.release(made);
    EXPECT_EQ(low.object_count(), 0u);
}

int cleared = 0;

TEST_F(ArenaTest, an_object_is_cleared_once_when_it_is_freed) {
    constexpr Arena::Kind holder = 2;
    cleared = 0;
    // It holds another one: a place in its payload.
    Arena::set_clear(holder, [](Arena&, std::byte* payload) noexcept {
        ++cleared;
        std::memset(payload, 0, sizeof(Ref));
    });
    Arena arena = view(0);
    Arena second = view(1);
    const Ref ref = arena.create(holder, 10);
    second.hold(ref);
    arena.release(ref);
    EXPECT_EQ(cleared, 0);
    arena.release_all(1);
    EXPECT_EQ(cleared, 1);
    EXPECT_EQ(arena.object_count(), 0u);
}

TEST_F(ArenaTest, what_it_has_no_room_for_is_an_error) {
    Arena arena = view(0);
    EXPECT_THROW((void)arena.create(plain, Arena::size), std::bad_alloc);
    EXPECT_THROW((void)arena.create(plain, SIZE_MAX), std::bad_alloc);
    EXPECT_EQ(arena.object_count(), 0u);
    const Ref ref = arena.create(plain, 1 << 20);
    arena.release(ref);
    EXPECT_EQ(arena.object_count(), 0u);
}

TEST_F(ArenaTest, memory_that_small_objects_have_left_serves_others) {
    Arena arena = view(0);
    std::deque<Ref> alive;
    // As a queue does: made at one end, freed at the other. They stay in the memory they have.
    for (int i = 0; i < 20'000; ++i) {
        alive.push_back(arena.create(plain, 500));
        if (alive.size() > 200) {
            arena.release(alive.front());
            alive.pop_front();
        }
    }
    for (const Ref ref : alive) EXPECT_LT(ref.place * Arena::alignment, 40 * Arena::span_size);
    for (const Ref ref : alive) arena.release(ref);
    // What is left beside a large object in small ones, then in one.
    const Ref most = arena.create(plain, Arena::size - (std::size_t{48} << 20));
    std::vector<Ref> all;
    try {
        for (;;) all.push_back(arena.create(plain, 30'000));
    } catch (const std::bad_alloc&) {}
    EXPECT_GT(all.size(), 1'000u);
    EXPECT_THROW((void)arena.create(plain, 1 << 20), std::bad_alloc);
    for (const Ref ref : all) arena.release(ref);
    EXPECT_THROW((void)arena.create(plain, 1 << 20), std::bad_alloc);
    arena.reclaim();
    const Ref large = arena.create(plain, 40 << 20);
    EXPECT_TRUE(is_zero(arena, arena.create(plain, 1'000)));
    arena.release(large);
    arena.release(most);
}

TEST_F(ArenaTest, large_objects_are_zeroed_too_in_reused_memory) {
    Arena arena = view(0);
    for (const std::size_t bytes : {200'000u, 65'536u, 65'473u, 3'000'000u, 131'072u}) {
        const Ref ref = arena.create(plain, bytes);
        EXPECT_TRUE(is_zero(arena, ref)) << bytes;
        std::fill_n(arena.payload(ref), bytes, std::byte{0xAB});
        arena.release(ref);
    }
    EXPECT_EQ(arena.object_count(), 0u);
}

}  // namespace
