// What workers run first and last, however large its arguments are.
#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "support/die.hpp"
#include "support/each_start_method.hpp"
#include "support/gate.hpp"
#include "support/temporary.hpp"

namespace {

namespace mp = multiproc;

class PoolSetUp : public mp::test::EachStartMethod {};

std::size_t preloaded = 0;
std::size_t initialised = 0;

std::size_t sum_of(const std::string& text) {
    std::size_t sum = text.size();
    for (const char c : text) sum = sum * 31 + static_cast<unsigned char>(c);
    return sum;
}
std::string text_of(std::size_t size) {
    std::string text(size, 'x');
    for (std::size_t i = 0; i < size; i += 97) text[i] = static_cast<char>('a' + i % 26);
    return text;
}

void preload(const std::string& text) { preloaded = sum_of(text); }
void initialise(const std::string& text) { initialised = sum_of(text); }
std::size_t what_was_preloaded(int) { return preloaded; }
std::size_t what_was_initialised(int) { return initialised; }
void finalise(const std::string& folder, const std::string& text) {
    std::ofstream(folder + "/" + std::to_string(mp::current_process().pid)) << sum_of(text);
}
std::vector<int> numbers(int count) {
    std::vector<int> numbers;
    for (int i = 0; i < count; ++i) numbers.push_back(i);
    return numbers;
}

constexpr std::size_t large_sizes[] = {300'000, 5'000'000};

TEST_F(PoolSetUp, AnInitializerMayHaveArgumentsThatDoNotFitAWorkersRing) {
    for (const std::size_t size : large_sizes) {
        const std::string text = text_of(size);
        mp::Pool pool({.workers = 3, .initializer = mp::partial(initialise, text)});
        EXPECT_EQ(pool.map(what_was_initialised, numbers(60), 1), std::vector<std::size_t>(60, sum_of(text)));
        mp::test::kill_process(pool.worker_pids().front());
        EXPECT_EQ(pool.map(what_was_initialised, numbers(60), 1), std::vector<std::size_t>(60, sum_of(text)));
        pool.resize(4);
        EXPECT_EQ(pool.map(what_was_initialised, numbers(60), 1), std::vector<std::size_t>(60, sum_of(text)));
    }
}

TEST_F(PoolSetUp, APreloadFunctionMayHaveArgumentsThatDoNotFitAWorkersRing) {
    allow(1, 8);  // a fork server of its own kind may have been started
    for (const std::size_t size : large_sizes) {
        const std::string text = text_of(size);
        const std::string other = text_of(size / 2);
        mp::Pool pool(
            {.workers = 2, .preload = mp::partial(preload, text), .initializer = mp::partial(initialise, other)});
        EXPECT_EQ(pool.map(what_was_preloaded, numbers(20), 1), std::vector<std::size_t>(20, sum_of(text)));
        EXPECT_EQ(pool.map(what_was_initialised, numbers(20), 1), std::vector<std::size_t>(20, sum_of(other)));
    }
}

TEST_F(PoolSetUp, AFinalizerMayHaveArgumentsThatDoNotFitAWorkersRing) {
    for (const std::size_t size : large_sizes) {
        const std::string text = text_of(size);
        const mp::test::TemporaryDirectory folder;
        mp::Pool pool({.workers = 3, .finalizer = mp::partial(finalise, folder.path().string(), text)});
        EXPECT_EQ(pool.map(what_was_initialised, numbers(30), 1).size(), 30u);
        const std::vector<std::uint32_t> workers = pool.worker_pids();
        pool.close();
        pool.join();
        for (const std::uint32_t pid : workers) {
            std::size_t sum = 0;
            std::ifstream(folder.file(std::to_string(pid))) >> sum;
            EXPECT_EQ(sum, sum_of(text));
        }
    }
}

TEST_F(PoolSetUp, ALargeFinalizerRunsAlsoInWorkersThatLeaveEarly) {
    const std::string text = text_of(300'000);
    const mp::test::TemporaryDirectory folder;
    mp::Pool pool(
        {.workers = 2, .finalizer = mp::partial(finalise, folder.path().string(), text), .max_tasks_per_worker = 5});
    EXPECT_EQ(pool.map(what_was_initialised, numbers(60), 1).size(), 60u);
    pool.close();
    pool.join();
    std::size_t finalised = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
        std::size_t sum = 0;
        std::ifstream(entry.path()) >> sum;
        EXPECT_EQ(sum, sum_of(text));
        ++finalised;
    }
    EXPECT_GE(finalised, 12u);
}

TEST_F(PoolSetUp, ALargeFinalizerComesBehindTheTasksOfAWorkerThatIsToLeave) {
    const std::string text = text_of(300'000);
    const mp::test::TemporaryDirectory folder;
    const mp::test::Gate gate;
    mp::Pool pool({.workers = 2, .finalizer = mp::partial(finalise, folder.path().string(), text)});
    const mp::AsyncResult<int> first = pool.apply_async(mp::test::pass_gate, gate.path(), 1);
    const mp::AsyncResult<int> second = pool.apply_async(mp::test::pass_gate, gate.path(), 2);
    pool.resize(1);
    gate.open();
    EXPECT_EQ(first.get() + second.get(), 3);
    EXPECT_TRUE(mp::test::holds_soon([&] { return pool.worker_pids().size() == 1; }));
    EXPECT_FALSE(std::filesystem::is_empty(folder.path()));
}

std::size_t arrays_seen = 0;
void take_arrays(const std::vector<mp::SharedArray<int>>& arrays) { arrays_seen = arrays.size(); }
std::size_t what_arrays_were_seen(int) { return arrays_seen; }

TEST_F(PoolSetUp, AWorkerThatCannotBeSentAllOfItsInitializerAtOnceRunsNoTaskBefore) {
    std::vector<mp::SharedArray<int>> arrays;
    for (int i = 0; i < 600; ++i) arrays.emplace_back(1);
    mp::Pool pool({.workers = 2, .initializer = mp::partial(take_arrays, arrays)});
    EXPECT_EQ(pool.map(what_arrays_were_seen, numbers(20), 1), std::vector<std::size_t>(20, arrays.size()));
}

}  // namespace
