// A sandboxed worker gets bytes and returns bytes, as any other does; what leads to other processes is refused.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "support/die.hpp"
#include "support/gate.hpp"
#include "support/sandboxed.hpp"
#include "support/sanitizers.hpp"
#include "support/temporary.hpp"

namespace {

namespace mp = multiproc;

class PoolSandbox : public mp::test::Sandboxed {};

mp::PoolOptions sandboxed(mp::Count workers) { return {.workers = workers, .sandbox = mp::Sandbox::compute}; }

int twice(int x) { return 2 * x; }
std::string text_of(int x) { return std::string(static_cast<std::size_t>(x), 'x'); }

TEST_F(PoolSandbox, ComputesAsAnyOther) {
    mp::Pool pool(sandboxed(2));
    std::vector<int> numbers(5000);
    std::iota(numbers.begin(), numbers.end(), 0);
    std::vector<int> doubled;
    for (const int x : numbers) doubled.push_back(2 * x);
    EXPECT_EQ(pool.apply(twice, 21), 42);
    EXPECT_EQ(pool.apply(text_of, 1000), std::string(1000, 'x'));
    EXPECT_EQ(pool.map(twice, numbers), doubled);
    std::vector<int> arrived;
    for (const int x : pool.imap(twice, numbers)) arrived.push_back(x);
    EXPECT_EQ(arrived, doubled);
    pool.close();
    pool.join();
}

int fail(const std::string& text) { throw std::out_of_range(text); }

TEST_F(PoolSandbox, WhatATaskThrowsArrives) {
    mp::Pool pool(sandboxed(1));
    for (int i = 0; i < 3; ++i) {
        try {
            pool.apply(fail, "too far");
            ADD_FAILURE() << "it did not throw";
        } catch (const std::out_of_range& error) { EXPECT_STREQ(error.what(), "too far"); }
    }
    EXPECT_EQ(pool.apply(twice, 1), 2);
}

std::string with_last_changed(std::string text) {
    ++text.back();
    return text;
}

TEST_F(PoolSandbox, LargeArgumentsAndResultsTravel) {
    mp::Pool pool(sandboxed(1));
    const std::size_t bytes = mp::test::slow_memory ? 8u << 20 : 64u << 20;
    for (const char letter : {'a', 'p'}) {
        const std::string text(bytes, letter);
        EXPECT_TRUE(pool.apply(with_last_changed, text) == with_last_changed(text));
    }
}

// Each has a segment of its own, of which few can be under way at once.
TEST_F(PoolSandbox, ManyLargeResultsThatNobodyTakesYetArrive) {
    mp::Pool pool(sandboxed(2));
    std::vector<mp::AsyncResult<std::string>> results;
    for (int i = 0; i < 200; ++i) results.push_back(pool.apply_async(text_of, 100'000 + i));
    for (int i = 0; i < 200; ++i)
        EXPECT_EQ(results[static_cast<std::size_t>(i)].get().size(), static_cast<std::size_t>(100'000 + i));
}

// One byte of each page is written and read.
std::size_t sum_by_threads(std::size_t pages) {
    constexpr std::size_t page = 4096;
    std::vector<unsigned char> memory(pages * page);
    std::vector<std::size_t> sums(8);
    std::vector<std::thread> threads;
    for (std::size_t first = 0; first < sums.size(); ++first) {
        threads.emplace_back([&memory, &sum = sums[first], first, pages, all = sums.size()] {
            for (std::size_t i = first; i < pages; i += all) sum += memory[i * page] = 1;
        });
    }
    for (std::thread& thread : threads) thread.join();
    return std::accumulate(sums.begin(), sums.end(), std::size_t{0});
}

TEST_F(PoolSandbox, TasksHaveMemoryAndThreads) {
    mp::Pool pool(sandboxed(1));
    const std::size_t pages = mp::test::slow_memory ? 2000 : 25'000;
    for (int round = 0; round < 2; ++round) EXPECT_EQ(pool.apply(sum_by_threads, pages), pages);
}

std::FILE* opened = nullptr;
void open_file(const std::string& path) { opened = std::fopen(path.c_str(), "r"); }
std::string read_line() {
    char line[100] = {};
    if (opened == nullptr || std::fgets(line, sizeof line, opened) == nullptr) throw std::runtime_error("no line");
    return line;
}

TEST_F(PoolSandbox, TheInitializerMayOpenWhatTasksNeed) {
    const mp::test::TemporaryDirectory folder;
    mp::test::write_file(folder.file("model"), "weights\n");
    mp::PoolOptions options = sandboxed(1);
    options.initializer = mp::partial(open_file, folder.file("model"));
    mp::Pool pool(std::move(options));
    EXPECT_EQ(pool.apply(read_line), "weights\n");
}

int preloaded = 0;
void preload(int number) { preloaded += number; }
int what_was_preloaded() { return preloaded; }

TEST_F(PoolSandbox, WorkersHaveWhatWasPreloaded) {
    mp::PoolOptions options = sandboxed(2);
    options.preload = mp::partial(preload, 7);
    options.initializer = mp::partial(preload, 100);
    mp::Pool pool(std::move(options));
    EXPECT_EQ(pool.apply(what_was_preloaded), 107);
}

void refuse_to_work() { throw std::runtime_error("no licence"); }

TEST_F(PoolSandbox, NothingRunsOutsideWhenTheInitializerFails) {
    const mp::test::Gate ran;
    mp::PoolOptions options = sandboxed(1);
    options.initializer = refuse_to_work;
    mp::Pool pool(std::move(options));
    std::vector<mp::AsyncResult<void>> results;
    for (int i = 0; i < 20; ++i) {
        try {
            results.push_back(pool.apply_async(mp::test::open_gate, ran.path()));
        } catch (const mp::BrokenPool&) { break; }
    }
    for (auto& result : results) EXPECT_THROW(result.get(), mp::BrokenPool);
    EXPECT_THROW(pool.apply(twice, 1), mp::BrokenPool);
    pool.terminate();
    EXPECT_FALSE(ran.is_open());
}

int dying(mp::test::Death death) { mp::test::die(death); }

TEST_F(PoolSandbox, AWorkerThatDiesCostsItsTaskAndIsReplaced) {
    mp::Pool pool(sandboxed(2));
    for (const mp::test::Death death : mp::test::every_death) {
        const mp::AsyncResult<int> lost = pool.apply_async(dying, death);
        const mp::AsyncResult<int> other = pool.apply_async(twice, 4);
        try {
            lost.get();
            ADD_FAILURE() << "survived " << name_of(death);
        } catch (const mp::WorkerDied& error) {
            EXPECT_TRUE(is_how(error.status(), death)) << name_of(death) << ": " << error.what();
        }
        EXPECT_EQ(other.get(), 8);
    }
    EXPECT_TRUE(mp::test::holds_soon([&] { return pool.worker_pids().size() == 2; }));
}

void spin() {
    for (;;) std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

TEST_F(PoolSandbox, TasksCanBeCancelledAndHaveTimeouts) {
    mp::Pool pool(sandboxed(1));
    pool.apply(twice, 1);
    EXPECT_THROW(pool.with({.timeout = std::chrono::milliseconds(100)}).apply(spin), mp::TimeoutError);
    const mp::AsyncResult<void> endless = pool.apply_async(spin);
    endless.wait_for(std::chrono::milliseconds(50));
    EXPECT_TRUE(endless.cancel());
    EXPECT_THROW(endless.get(), mp::CancelledError);
    EXPECT_EQ(pool.apply(twice, 2), 4);
}

TEST_F(PoolSandbox, WorkersAreReplacedAfterSoManyTasks) {
    mp::PoolOptions options = sandboxed(2);
    options.max_tasks_per_worker = 3;
    mp::Pool pool(std::move(options));
    const std::vector<int> numbers{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    EXPECT_EQ(pool.map(twice, numbers, 1), (std::vector<int>{2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24}));
}

// ---- what leads to other processes -------------------------------------------------------------------------------------

int take_array(const mp::SharedArray<int>& array) { return array[0]; }
int take_queue(const mp::Queue<int>& queue) { return queue.get(); }
int take_both(const mp::Value<int>& value, int x) { return value.get() + x; }

template <class Call>
void expect_refused(Call call) {
    try {
        call();
        ADD_FAILURE() << "it was not refused";
    } catch (const mp::CodecError& error) {
        EXPECT_NE(std::string(error.what()).find("sandboxed"), std::string::npos) << error.what();
        EXPECT_NE(std::string(error.what()).find("as a std::vector"), std::string::npos) << error.what();
    }
}

TEST_F(PoolSandbox, SharedObjectsInArgumentsAreRefusedWhenTheTaskIsSubmitted) {
    mp::Pool pool(sandboxed(1));
    const mp::SharedArray<int> array(10);
    const mp::Queue<int> queue;
    const mp::Value<int> value(3);
    expect_refused([&] { pool.apply_async(take_array, array); });
    expect_refused([&] { pool.apply_async(take_queue, queue); });
    expect_refused([&] { pool.apply_async(mp::partial(take_both, value), 1); });
    expect_refused([&] { pool.map(take_array, std::vector<mp::SharedArray<int>>(3, array)); });
    expect_refused([&] { pool.map(mp::partial(take_both, value), std::vector<int>{1, 2}); });
    expect_refused([&] { pool.map_async(take_queue, std::vector<mp::Queue<int>>{queue}); });
    EXPECT_EQ(pool.apply(twice, 5), 10);
}

TEST_F(PoolSandbox, SharedObjectsOfAnInitializerAreRefusedByTheConstructor) {
    const mp::Queue<int> queue;
    mp::PoolOptions options = sandboxed(1);
    options.initializer = mp::partial(take_queue, queue);
    EXPECT_THROW(mp::Pool{options}, std::invalid_argument);
}

mp::SharedArray<int> make_array(int x) {
    mp::SharedArray<int> array(1);
    array[0] = x;
    return array;
}

TEST_F(PoolSandbox, ASharedArrayAsResultIsThatTasksError) {
    mp::Pool pool(sandboxed(1));
    for (int i = 0; i < 3; ++i) expect_refused([&] { pool.apply(make_array, 1); });
    EXPECT_EQ(pool.apply(twice, 6), 12);
}

int use_queue() {
    mp::Queue<int> queue;
    queue.put(1);
    return queue.get();
}
int use_process() {
    mp::Process process(twice, 1);
    process.start();
    return process.result();
}

TEST_F(PoolSandbox, WorkersMakeNoSharedObjectsAndStartNoProcesses) {
    mp::Pool pool(sandboxed(1));
    EXPECT_THROW(pool.apply(use_queue), mp::BootstrapError);
    EXPECT_THROW(pool.apply(use_process), mp::BootstrapError);
    EXPECT_EQ(pool.apply(twice, 7), 14);

    mp::PoolOptions options = sandboxed(1);
    options.initializer = use_queue;
    mp::Pool eager(std::move(options));
    EXPECT_THROW(eager.apply(twice, 1), mp::BrokenPool);
}

TEST_F(PoolSandbox, OtherPoolsAreAsTheyWere) {
    mp::Pool confined(sandboxed(1));
    mp::Pool free(1);
    mp::SharedArray<int> array(1);
    array[0] = 5;
    EXPECT_EQ(confined.apply(twice, 1), 2);
    EXPECT_EQ(free.apply(take_array, array), 5);
    EXPECT_EQ(free.apply(make_array, 6)[0], 6);
    const mp::test::Gate gate;
    free.apply(mp::test::open_gate, gate.path());
    EXPECT_TRUE(gate.is_open());
}

// ---- where there is none -------------------------------------------------------------------------------------------------

TEST_F(PoolSandbox, IsThereOrSaysWhyNot) {
    EXPECT_TRUE(mp::sandbox_available());
    EXPECT_EQ(mp::sandbox_problem(), "");
}

TEST_F(PoolSandbox, APoolWithoutWorkersHasNone) { EXPECT_THROW(mp::Pool{sandboxed(0)}, std::invalid_argument); }

TEST_F(PoolSandbox, ForkIsRefused) {
    mp::PoolOptions options = sandboxed(1);
    options.start_method = mp::StartMethod::fork;
    EXPECT_THROW(mp::Pool{options}, std::invalid_argument);
    if (!has_fork()) return;

    const mp::StartMethod before = mp::get_start_method();
    mp::set_start_method(mp::StartMethod::fork);
    mp::Pool pool(sandboxed(1));
    try {
        pool.start();
        ADD_FAILURE() << "it was not refused";
    } catch (const mp::StartError& error) {
        EXPECT_NE(std::string(error.what()).find("StartMethod::forkserver"), std::string::npos) << error.what();
    }
    mp::set_start_method(before);
    EXPECT_EQ(pool.apply(twice, 8), 16);  // it can be tried again
}

}  // namespace
