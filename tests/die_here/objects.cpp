// Shared objects: who makes and drops them, and who buries a process that has.
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "plan.hpp"
#include "runtime.hpp"

namespace multiproc::test {
namespace {

constexpr auto any_kind = static_cast<Arena::Kind>(detail::ObjectKind::data);

// Entries of processes that come first in the table, so that the next ones have their bits in overflow objects.
class Predecessors {
public:
    Predecessors() {
        for (int i = 0; i < 70; ++i) all_.push_back(Runtime::get().add_process());
    }
    ~Predecessors() {
        for (const Runtime::ProcessRef process : all_) Runtime::get().remove_process(process);
    }
    Predecessors(const Predecessors&) = delete;
    Predecessors& operator=(const Predecessors&) = delete;

private:
    std::vector<Runtime::ProcessRef> all_;
};

// Objects of all kinds and sizes come and go, and one of another process, if there is one, is held for a while.
void make_objects(Arena::Ref others = {}) {
    Arena& arena = Runtime::get().arena();
    {
        const Lock lock;
        const Value<int> value(1);
        const Queue<int> queue;
        for (int i = 0; i < 1'300; ++i) queue.put(i);  // in three rings
        const auto ends = pipe<int>();
        std::vector<RawArray<char>> arrays;
        for (const std::size_t size : {100u, 3'000u, 30'000u, 200'000u, 1'000'000u}) arrays.emplace_back(size);
        const bool is_there = !others || arena.hold(others);
        EXPECT_TRUE(is_there);
        arena.release(others);
    }
    arena.reclaim();  // as if there was no room
    // And where a place is in use behind one that is free.
    std::optional<RawArray<char>> first(7'000u);
    const RawArray<char> second(7'000);
    first.reset();
    arena.reclaim();
}

void make_objects_until_dead(Plan plan, std::uint64_t others) {
    plan.begin();
    for (int i = 0; i < 20; ++i) make_objects(Arena::Ref::unpack(others));
}

void test_with_object(Plan plan) {
    Arena& arena = Runtime::get().arena();
    const Arena::Ref mine = arena.create(any_kind, 1000);
    Process victim(make_objects_until_dead, plan, mine.pack());
    victim.start();
    for (int i = 0; i < 20; ++i) make_objects();
    expect_dead(victim);
    for (int i = 0; i < 20; ++i) make_objects();
    EXPECT_TRUE(arena.exists(mine)) << "what is held stays";
    arena.release(mine);
    EXPECT_FALSE(arena.exists(mine)) << "nobody else holds it";
}

// Dies in the middle of something that is to be finished by whoever buries it.
void become_corpse(DeathPoint point, std::uint64_t others) {
    die_at(point);
    const Queue<int> queue;
    for (int i = 0; i < 3'000; ++i) queue.put(i);  // needs another ring
    make_objects(Arena::Ref::unpack(others));
}

constexpr DeathPoint corpses[] = {DeathPoint::cell_taken,     DeathPoint::overflow_named, DeathPoint::next_span_taken,
                                  DeathPoint::clearing_begun, DeathPoint::ring_signed,    DeathPoint::overflow_linked};

void bury_until_dead(Plan plan, std::uint64_t others) {
    plan.begin();
    for (int i = 0; i < 10; ++i) {
        for (const DeathPoint point : corpses) {
            Process corpse(become_corpse, point, others);
            corpse.start();
            corpse.join();
        }
    }
}

}  // namespace

void test_makes_objects(Plan plan) { test_with_object(plan); }

void test_is_one_of_many(Plan plan) {
    const Predecessors predecessors;
    test_with_object(plan);
}

void test_buries(Plan plan) {
    const Predecessors predecessors;
    Arena& arena = Runtime::get().arena();
    const Arena::Ref mine = arena.create(any_kind, 1000);
    Process victim(bury_until_dead, plan, mine.pack());
    victim.start();
    expect_dead(victim);
    for (int i = 0; i < 5; ++i) make_objects();
    arena.release(mine);
    Runtime::get().sweep();  // the child whose burial was broken off
    EXPECT_FALSE(arena.exists(mine));
}

}  // namespace multiproc::test
