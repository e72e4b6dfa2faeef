// A pool without workers runs everything at once in the thread that submits it, through the codec all the same.
#include <atomic>
#include <chrono>
#include <list>
#include <optional>
#include <ranges>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"
#include "support/temporary.hpp"

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

std::size_t thread_here(int) { return std::hash<std::thread::id>{}(std::this_thread::get_id()); }
std::string text_after_a_while(int number) {
    if (number % 5 == 0) std::this_thread::yield();
    return std::to_string(number);
}

TEST_F(PoolLocal, EachOfManyThreadsRunsItsOwnCallsAlone) {
    mp::Pool pool(0);
    const std::vector<int> input{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19};
    std::vector<std::thread> threads;
    std::atomic<int> wrong{0};
    for (int t = 0; t < 8; ++t) {
        threads.emplace_back([&] {
            const std::size_t mine = std::hash<std::thread::id>{}(std::this_thread::get_id());
            const std::vector<std::size_t> all_mine(input.size(), mine);
            for (int round = 0; round < 20; ++round) {
                if (pool.map(thread_here, input) != all_mine) ++wrong;
                if (pool.apply(thread_here, round) != mine) ++wrong;
                const mp::AsyncResult<std::size_t> single = pool.apply_async(thread_here, 1);
                if (!single.ready() || single.get() != mine) ++wrong;
                if (pool.map_async(text_after_a_while, input).get().size() != input.size()) ++wrong;
                std::size_t read = 0;
                for (const std::size_t id : pool.imap(thread_here, input)) {
                    if (id != mine) ++wrong;
                    ++read;
                }
                if (read != input.size()) ++wrong;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(pool.stats().waiting_tasks, 0U);
}

TEST_F(PoolLocal, ManyThreadsThatComeFirstWaitForTheInitializer) {
    initialised = 0;
    mp::Pool pool({.workers = 0, .initializer = [] {
                       std::this_thread::yield();
                       initialise();
                   }});
    std::vector<std::thread> threads;
    std::atomic<int> wrong{0};
    for (int t = 0; t < 8; ++t) {
        threads.emplace_back([&] {
            if (pool.apply([](int) { return initialised; }, 1) != 1) ++wrong;
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(initialised, 1);
}

TEST_F(PoolLocal, AnInitializerMayUseThePool) {
    static mp::Pool* pool = nullptr;
    static int found = 0;
    mp::Pool made({.workers = 0, .initializer = [] { found = pool->apply([](int x) { return x + 1; }, 1); }});
    pool = &made;
    EXPECT_EQ(made.apply(as_text, 1), "1");
    EXPECT_EQ(found, 2);
}

TEST_F(PoolLocal, OneThreadMayEndThePoolThatOthersUse) {
    for (const bool terminates : {false, true}) {
        mp::Pool pool(0);
        std::atomic<int> begun{0};
        std::vector<std::thread> threads;
        for (int t = 0; t < 8; ++t) {
            threads.emplace_back([&] {
                try {
                    for (;;) {
                        pool.map(text_after_a_while, std::vector<int>{1, 2, 3, 4, 5});
                        ++begun;
                    }
                } catch (const mp::ClosedError&) {}
            });
        }
        while (begun < 20) std::this_thread::yield();
        if (terminates) {
            pool.terminate();
        } else {
            pool.close();
        }
        pool.join();
        for (std::thread& thread : threads) thread.join();
    }
}

TEST_F(PoolLocal, AnImapMayBeLeftBeforeItsEnd) {
    mp::Pool pool(0);
    int last = -1;
    for (const int& number : pool.imap([](int x) { return x; }, std::views::iota(0))) {
        last = number;
        if (number == 3) break;
    }
    EXPECT_EQ(last, 3);
    {
        auto unordered = pool.imap_unordered(as_text, std::views::iota(0));
        EXPECT_EQ(unordered.next(), "0");
        EXPECT_EQ(unordered.next_for(std::chrono::seconds(0)), "1");
    }
    EXPECT_EQ(pool.apply(as_text, 1), "1");
    EXPECT_EQ(pool.stats().waiting_tasks, 0U);
    pool.close();
    pool.join();
}

TEST_F(PoolLocal, AnImapOfAPoolThatCouldNotStartIsRefusedAndLeavesNothingBehind) {
    mp::Pool pool({.workers = 0, .initializer = initialise_badly});
    EXPECT_THROW(pool.imap(as_text, std::views::iota(0)), mp::BrokenPool);
    EXPECT_THROW(pool.imap_unordered(as_text, std::views::iota(0)), mp::BrokenPool);
    pool.close();
    pool.join();
}

TEST_F(PoolLocal, TheTimelineHasABoxForEachTask) {
    const mp::test::TemporaryDirectory folder;
    const std::string file = folder.file("trace.json");
    {
        mp::Pool pool({.workers = 0, .trace = file});
        pool.map(as_text, std::vector<int>{1, 2, 3});
        EXPECT_THROW(pool.apply(fail_at_three, 3), std::out_of_range);
        std::thread([&] { pool.apply(as_text, 4); }).join();
        EXPECT_GT(pool.stats().running.count(), 0);
    }
    const std::string trace = mp::test::read_file(file);
    const auto count = [&](const std::string& part) {
        std::size_t found = 0;
        for (std::size_t at = trace.find(part); at != std::string::npos; at = trace.find(part, at + 1)) ++found;
        return found;
    };
    EXPECT_EQ(count("\"ph\":\"X\""), 5u);
    EXPECT_EQ(count("\"failed\":true"), 1u);
    EXPECT_EQ(count("thread_name"), 2u);
}

TEST_F(PoolLocal, AnImapThatOutlivesThePoolEndsWithAnError) {
    std::optional<mp::Pool> pool(std::in_place, 0);
    auto results = pool->imap(as_text, std::views::iota(0));
    EXPECT_EQ(results.next(), "0");
    pool.reset();
    EXPECT_THROW(
        {
            while (results.next()) {}
        },
        mp::ClosedError);
    EXPECT_EQ(results.next(), std::nullopt);
}

}  // namespace
