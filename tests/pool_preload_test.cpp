// What workers have in their memory before their first task.
#include <atomic>
#include <fstream>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "support/die.hpp"
#include "support/each_start_method.hpp"
#include "support/gate.hpp"
#include "support/temporary.hpp"

namespace {

namespace mp = multiproc;

class PoolPreload : public mp::test::EachStartMethod {};

std::vector<int> dictionary;
std::uint32_t loaded_by = 0;
int initialised_with = 0;

void load(int size) {
    dictionary.assign(static_cast<std::size_t>(size), 7);
    loaded_by = mp::current_process().pid;
}
void load_other(const std::string& file) { std::ofstream(file, std::ios::app) << "loaded\n"; }
std::size_t size_of_dictionary() { return dictionary.size(); }
std::uint32_t who_loaded() { return loaded_by; }
std::uint32_t own_pid() { return mp::current_process().pid; }
void initialise() { initialised_with = static_cast<int>(dictionary.size()); }
int what_initialiser_found() { return initialised_with; }
void throw_at_once() { throw std::runtime_error("no such model"); }
void throw_as_initializer() { throw std::runtime_error("no such database"); }
void die_at_once() { mp::test::die(mp::test::Death::quick_exit); }
void take_array(const mp::SharedArray<int>&) {}

bool is_shared_by_server() {
    const mp::StartMethod method = mp::test::method_under_test();
    return (method == mp::StartMethod::automatic ? mp::get_start_method() : method) == mp::StartMethod::forkserver;
}

std::size_t lines_of(const std::string& file) {
    std::ifstream in(file);
    std::size_t count = 0;
    for (std::string line; std::getline(in, line);) ++count;
    return count;
}

TEST_F(PoolPreload, is_there_before_the_initializer_and_the_first_task) {
    allow(1, 8);  // a fork server of its own kind may have been started
    mp::Pool pool({.workers = 2, .preload = mp::partial(load, 1'000), .initializer = initialise});
    for (int i = 0; i < 20; ++i) {
        ASSERT_EQ(pool.apply(size_of_dictionary), 1'000u);
        ASSERT_EQ(pool.apply(what_initialiser_found), 1'000);
    }
}

TEST_F(PoolPreload, runs_once_where_workers_are_forked_by_a_server_and_in_each_worker_elsewhere) {
    const mp::test::TemporaryDirectory folder;
    const std::string file = folder.file("loads");
    for (int round = 0; round < 2; ++round) {
        mp::Pool pool({.workers = 3, .preload = mp::partial(load_other, file)});
        pool.start();
        pool.close();
        pool.join();
    }
    EXPECT_EQ(lines_of(file), is_shared_by_server() ? 1u : 6u);
}

TEST_F(PoolPreload, of_a_server_is_not_in_the_workers_memory_alone) {
    mp::Pool pool({.workers = 2, .preload = mp::partial(load, 1'001)});
    const std::uint32_t loader = pool.apply(who_loaded);
    const std::uint32_t worker = pool.apply(own_pid);
    if (is_shared_by_server()) {
        EXPECT_NE(loader, worker);
    } else {
        const std::vector<std::uint32_t> workers = pool.worker_pids();
        EXPECT_NE(std::ranges::find(workers, loader), workers.end());
    }
}

TEST_F(PoolPreload, that_throws_breaks_the_pool_with_its_text) {
    mp::Pool pool({.workers = 2, .preload = throw_at_once});
    try {
        pool.apply(size_of_dictionary);
        FAIL() << "nothing was thrown";
    } catch (const mp::BrokenPool& error) {
        EXPECT_NE(std::string(error.what()).find("preload"), std::string::npos) << error.what();
        EXPECT_NE(std::string(error.what()).find("no such model"), std::string::npos) << error.what();
    }
    mp::Pool other({.workers = 1, .preload = [] {}, .initializer = throw_as_initializer});
    EXPECT_THROW(other.apply(size_of_dictionary), mp::BrokenPool);
    mp::Pool sound(1);
    EXPECT_NE(sound.apply(own_pid), own_pid());
}

TEST_F(PoolPreload, that_ends_its_process_is_an_error_and_not_a_hang) {
    allow(1, 8);
    mp::Pool pool({.workers = 2, .preload = die_at_once});
    EXPECT_ANY_THROW(pool.apply(size_of_dictionary));
    mp::Pool sound(1);
    EXPECT_NE(sound.apply(own_pid), own_pid());
}

TEST_F(PoolPreload, is_there_in_workers_that_replace_dead_ones) {
    mp::Pool pool({.workers = 2, .preload = mp::partial(load, 1'002)});
    for (int i = 0; i < 5; ++i) {
        EXPECT_THROW(pool.apply(die_at_once), mp::WorkerDied);
        EXPECT_EQ(pool.apply(size_of_dictionary), 1'002u);
    }
}

TEST_F(PoolPreload, runs_in_this_process_where_there_are_no_workers) {
    static int size = 2;
    ++size;  // another call each time the test is run
    mp::Pool pool({.workers = 0, .preload = mp::partial(load, size)});
    EXPECT_EQ(pool.apply(size_of_dictionary), static_cast<std::size_t>(size));
    EXPECT_EQ(dictionary.size(), static_cast<std::size_t>(size));
}

TEST_F(PoolPreload, cannot_take_shared_memory) {
    EXPECT_THROW(mp::Pool({.workers = 1, .preload = mp::partial(take_array, mp::SharedArray<int>(1))}),
                 std::invalid_argument);
}

}  // namespace
