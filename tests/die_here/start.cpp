// Starting processes: the child dies, or its parent, or the fork server between the two.
#include <algorithm>
#include <iterator>
#include <optional>

#include "plan.hpp"
#include "support/each_start_method.hpp"

namespace multiproc::test {
namespace {

// A child with something of each kind that it can be given.
int use(int number, Lock lock, SharedArray<int> array, Queue<int> queue) {
    lock.lock();
    lock.unlock();
    queue.put(array[10]);
    return number + queue.get();
}

struct Given {
    Lock lock;
    SharedArray<int> array{2'000, 5};
    Queue<int> queue;
};

// What the child says, or nothing if it died; the exit status says the same.
std::optional<int> start_one(const Given& given, int number) {
    try {
        Process child(use, number, given.lock, given.array, given.queue);
        child.start();
        return child.result();
    } catch (const WorkerDied&) {
    } catch (const BootstrapError&) {}
    return std::nullopt;
}

void expect_starting_works() {
    const Given given;
    for (int i = 0; i < 4; ++i) EXPECT_EQ(start_one(given, i), i + 5);
}

// A child of it can reach it.
void kill_fork_server() {
    Process child(kill_own_fork_server);
    child.start();
    child.join();
}

void start_until_dead(Plan plan) {
    const DeathPoint point = plan.where();
    // A new server is asked for its first child; then there is a spare one for each that follows.
    constexpr DeathPoint first_start[] = {DeathPoint::server_spawned, DeathPoint::server_knocked,
                                          DeathPoint::server_asked, DeathPoint::server_answer_got,
                                          DeathPoint::server_child_told_to_go};
    const bool is_first_start = std::ranges::find(first_start, point) != std::end(first_start);
    const Given given;
    plan.begin();
    for (int i = 0; i < 20; ++i) {
        if (is_first_start) kill_fork_server();
        start_one(given, i);
        Process without_call_that_waits([] {});  // its call is in the ring before it is started
        without_call_that_waits.start();
        without_call_that_waits.join();
    }
}

void preload(int) {}
int same(int number) { return number; }

// A process comes to the server once, before it starts its first child.
int start_grandchild(int number) {
    Process child(same, number);
    child.start();
    return child.result();
}

}  // namespace

void test_is_started(Plan plan) {
    const Given given;
    plan.begin_elsewhere();
    int deaths = 0;
    for (int i = 0; i < 40 && !has_died(); ++i) {
        const std::optional<int> result = start_one(given, i);
        deaths += result ? 0 : 1;
        EXPECT_EQ(result.value_or(i + 5), i + 5);
        // A spare child leaves when it was not needed for a while.
        if (plan.where() == DeathPoint::spare_leaves && i % 3 == 2) {
            const std::uint32_t before = death::visits(plan.where());
            holds_soon([&] { return death::visits(plan.where()) != before; }, 1s);
        }
    }
    EXPECT_LE(deaths, 1);
    holds_soon([] { return has_died(); }, 2s);  // a child that is not waited for
    // If it died with the lock, that is handed on; and the queue has lost one item at most.
    EXPECT_TRUE(given.lock.try_lock_for(long_enough));
    given.lock.unlock();
    while (given.queue.try_get()) {}
    expect_starting_works();
}

void test_starts(Plan plan) {
    Process victim(start_until_dead, plan);
    victim.start();
    expect_dead(victim);
    expect_starting_works();
}

void test_is_fork_server(Plan plan) {
    const Given given;
    plan.begin_elsewhere();
    for (int i = 0; i < 20 && !has_died(); ++i) {
        // Nobody notices: another server is started, and the children run on.
        EXPECT_EQ(start_one(given, i), i + 5);
        if (plan.where() == DeathPoint::server_visited) {
            Process child(start_grandchild, i);
            child.start();
            EXPECT_EQ(child.result(), i);
        } else if (plan.where() == DeathPoint::server_preloaded) {
            Pool pool({.workers = 1, .preload = partial(preload, i)});
            EXPECT_EQ(pool.apply(same, i), i);
        }
    }
    holds_soon([] { return has_died(); }, 2s);
    expect_starting_works();
}

}  // namespace multiproc::test
