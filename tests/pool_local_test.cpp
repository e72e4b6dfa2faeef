// A pool without workers runs everything at once in the thread that submits it, through the codec all the same.
#include <list>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"

namespace {

namespace mp = multiproc;

class PoolLocal : public mp::test::EachStartMethod {};

std::string as_text(int number) { return std::to_string(number); }
int fail_at_three(int number) {
    if (number == 3) throw std::out_of_range("three");
    return number;
}
std::uint32_t pid_here() { return mp::current_process().pid; }
bool is_this_thread(std::size_t id) { return std::hash<std::thread::id>{}(std::this_thread::get_id()) == id; }

struct Counted {
    int copies = 0;
    template <class Archive>
    void save(Archive& archive) const {
        archive(copies);
    }
    template <class Archive>
    void load(Archive& archive) {
        archive(copies);
        ++copies;
    }
};
Counted pass_on(Counted counted) { return counted; }

int initialised = 0;
void initialise() { ++initialised; }
void initialise_badly() { throw std::runtime_error("not today"); }

TEST_F(PoolLocal, RunsTasksInTheCallingThread) {
    mp::Pool pool({.workers = 0});
    EXPECT_EQ(pool.apply(pid_here), mp::current_process().pid);
    EXPECT_TRUE(pool.apply(is_this_thread, std::hash<std::thread::id>{}(std::this_thread::get_id())));
    EXPECT_TRUE(pool.worker_pids().empty());
    EXPECT_EQ(pool.workers(), 0U);
}

TEST_F(PoolLocal, ArgumentsAndResultsPassThroughTheCodec) {
    mp::Pool pool(0);
    EXPECT_EQ(pool.apply(pass_on, Counted{}).copies, 2);
}

TEST_F(PoolLocal, EveryFormGivesTheSameAsWithWorkers) {
    mp::Pool pool(0);
    const std::vector<int> input{1, 2, 3, 4};
    const std::vector<std::string> texts{"1", "2", "3", "4"};
    EXPECT_EQ(pool.map(as_text, input), texts);
    EXPECT_EQ(pool.map(as_text, std::list<int>{1, 2, 3, 4}), texts);
    EXPECT_EQ(pool.map_async(as_text, input).get(), texts);
    EXPECT_EQ(pool.map([](int x) { return x * 2; }, input), (std::vector<int>{2, 4, 6, 8}));
    std::vector<std::string> streamed;
    for (const std::string& text : pool.imap(as_text, input)) streamed.push_back(text);
    EXPECT_EQ(streamed, texts);
    EXPECT_EQ(pool.starmap([](int a, int b) { return a + b; }, std::vector<std::pair<int, int>>{{1, 2}, {3, 4}}),
              (std::vector<int>{3, 7}));
    const std::string large(1'000'000, 'x');
    EXPECT_EQ(pool.apply([](const std::string& text) { return text + "!"; }, large), large + "!");
}

TEST_F(PoolLocal, ErrorsAreThoseOfTheTask) {
    mp::Pool pool(0);
    EXPECT_THROW(pool.apply(fail_at_three, 3), std::out_of_range);
    EXPECT_THROW(pool.map(fail_at_three, std::vector<int>{1, 2, 3, 4}), std::out_of_range);
    EXPECT_EQ(pool.apply(fail_at_three, 4), 4);
    EXPECT_EQ(pool.stats().failures, 2U);
}

TEST_F(PoolLocal, ATaskMayUseThePool) {
    static mp::Pool pool(0);
    EXPECT_EQ(pool.apply([](int x) { return pool.apply([](int y) { return y + 1; }, x) * 10; }, 1), 20);
}

TEST_F(PoolLocal, TheInitializerRunsHereOnce) {
    initialised = 0;
    mp::Pool pool({.workers = 0, .initializer = initialise});
    pool.apply(pid_here);
    pool.apply(pid_here);
    EXPECT_EQ(initialised, 1);
    mp::Pool broken({.workers = 0, .initializer = initialise_badly});
    EXPECT_THROW(broken.apply(pid_here), mp::BrokenPool);
}

TEST_F(PoolLocal, ItsLifeIsThatOfOthers) {
    mp::Pool pool(0);
    EXPECT_THROW(pool.join(), std::logic_error);
    EXPECT_THROW(pool.resize(2), std::logic_error);
    EXPECT_EQ(pool.apply(as_text, 1), "1");
    pool.close();
    EXPECT_THROW(pool.apply(as_text, 1), mp::ClosedError);
    pool.join();
}

}  // namespace
