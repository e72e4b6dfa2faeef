// A worker that writes nonsense into the memory it shares with its parent costs the parent an error, and nothing else.
#include <cstdint>
#include <cstring>
#include <exception>
#include <fstream>
#include <random>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "arena.hpp"
#include "channel.hpp"
#include "support/each_start_method.hpp"
#include "support/gate.hpp"

namespace {

namespace mp = multiproc;
using mp::ControlBlock, mp::RecordHead, mp::RecordKind, mp::ResultRecord, mp::ring_cell;

class PoolHostile : public mp::test::EachStartMethod {};

// Fills this worker's channel, the largest piece of anonymous shared memory it has, from `from` on. (The memory of shared
// objects is larger. A worker made by fork has that, if its parent has: it is everybody's, and no part of the promise.)
// Linux names those mappings in /proc; elsewhere the worker dies instead, which the test accepts too.
void scribble(unsigned seed, std::size_t from) {
    std::ifstream maps("/proc/self/maps");
    std::uintptr_t best_begin = 0, best_end = 0;
    for (std::string line; std::getline(maps, line);) {
        if (line.find("memfd:") == std::string::npos && line.find("/dev/shm/") == std::string::npos) continue;
        std::uintptr_t begin = 0, end = 0;
        char dash = 0;
        std::istringstream(line) >> std::hex >> begin >> dash >> end;
        if (end - begin != mp::Arena::size && end - begin > best_end - best_begin) best_begin = begin, best_end = end;
    }
    if (best_begin == 0) std::abort();
    std::mt19937_64 random(seed);
    auto* words = reinterpret_cast<volatile std::uint64_t*>(best_begin);
    for (std::size_t i = from / 8; i < (best_end - best_begin) / 8; ++i) words[i] = random();
}

int echo(int x) { return x; }

// The worker goes on with its own idea of where the rings are, so the result of the task may come through all the same.
void expect_harmless(std::size_t from) {
    mp::Pool pool(2);
    for (unsigned seed = 0; seed < 20; ++seed) {
        try {
            pool.apply(scribble, seed, from);
        } catch (const mp::WorkerDied&) {
        } catch (const mp::CodecError&) {}
        EXPECT_EQ(pool.map(echo, std::vector<int>{1, 2, 3}), (std::vector<int>{1, 2, 3}));
        EXPECT_TRUE(mp::test::holds_soon([&] { return pool.worker_pids().size() == 2; }));
    }
}

TEST_F(PoolHostile, NonsenseInTheWholeChannelCostsAnErrorOnly) { expect_harmless(0); }

TEST_F(PoolHostile, NonsenseInTheRingsCostsAnErrorOnly) { expect_harmless(4096); }

// The control block of this process's channel, which its parent and it alone have mapped.
ControlBlock* own_channel() {
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
        if (line.find("memfd:") == std::string::npos && line.find("/dev/shm/") == std::string::npos) continue;
        std::uintptr_t begin = 0, end = 0;
        char dash = 0;
        std::string access;
        std::istringstream(line) >> std::hex >> begin >> dash >> end >> access;
        if (access != "rw-s" || end - begin < sizeof(ControlBlock)) continue;
        auto* const control = reinterpret_cast<ControlBlock*>(begin);
        if (control->magic >> 24 == 0x6d70726f63 && control->size <= end - begin) return control;
    }
    return nullptr;
}

// Fills this process's result ring with what its parent takes for records, and that are wrong in one way or another.
void forge(unsigned seed) {
    ControlBlock* const control = own_channel();
    if (control == nullptr) std::abort();
    std::mt19937 random(seed);
    const auto one_of = [&random](auto... choices) {
        const std::uint64_t all[] = {static_cast<std::uint64_t>(choices)...};
        return all[random() % sizeof...(choices)];
    };
    auto* const ring = reinterpret_cast<std::byte*>(control) + control->results_offset;
    for (std::size_t at = 0; at < control->results_capacity; at += ring_cell) {
        auto& record = *reinterpret_cast<ResultRecord*>(ring + at);
        record.id = one_of(0, seed, seed + 1, 2 * seed, random() % 100, UINT64_MAX);
        record.first = static_cast<std::uint32_t>(one_of(0, 0, 0, 1, UINT32_MAX));
        record.progress = one_of(1, 1, 2, 3, UINT32_MAX) << 32 | one_of(0, 4, 24, ring_cell, UINT32_MAX);
        record.form = static_cast<std::uint32_t>(one_of(0, 0, random()));
        for (std::size_t i = sizeof record; i + 8 <= ring_cell; i += 8) {
            const std::uint64_t word = one_of(0, 1, 64, random(), UINT64_MAX);
            std::memcpy(reinterpret_cast<std::byte*>(&record) + i, &word, sizeof word);
        }
        const auto kind = one_of(RecordKind::result, RecordKind::result, RecordKind::attach, RecordKind::detach,
                                 RecordKind::refuse, random() % 20);
        const auto size = one_of(ring_cell, ring_cell, 2 * ring_cell, control->results_capacity - at, random());
        record.word = RecordHead{static_cast<std::uint32_t>(size), static_cast<RecordKind>(kind), false}.pack();
    }
}

TEST_F(PoolHostile, ForgedResultsCostAnErrorOnly) {
    mp::Pool pool(2);
    for (unsigned seed = 0; seed < 30; ++seed) {
        try {
            pool.apply(forge, seed);
        } catch (const std::exception& error) { EXPECT_STRNE(error.what(), ""); }
        try {
            // Some of what it forged may pass for the result of a later task, which is its own business: what it sends is
            // what it says. But no other worker's, and nothing after its end.
            (void)pool.map(echo, std::vector<int>{1, 2, 3});
        } catch (const std::exception& error) { EXPECT_STRNE(error.what(), ""); }
    }
    pool.terminate();
    pool.join();
    mp::Pool next(2);
    EXPECT_EQ(next.map(echo, std::vector<int>{1, 2, 3}), (std::vector<int>{1, 2, 3}));
}

TEST_F(PoolHostile, ForgedResultsOfAProcessCostAnErrorOnly) {
    for (unsigned seed = 0; seed < 30; ++seed) {
        mp::Process process(forge, seed);
        process.start();
        try {
            process.result();
        } catch (const std::exception& error) { EXPECT_STRNE(error.what(), ""); }
    }
    mp::Process process(echo, 7);
    process.start();
    EXPECT_EQ(process.result(), 7);
}

// Spoils the results that wait in this worker's ring.
int spoil_results(mp::Queue<int> runs, int number) {
    runs.put(number);
    ControlBlock* const control = own_channel();
    if (control == nullptr) std::abort();
    std::memset(reinterpret_cast<std::byte*>(control) + control->results_offset, 0x5a, control->results_capacity);
    return number;
}

TEST_F(PoolHostile, WhatAWorkerHasRunThatSendsNonsenseIsNotRunAgain) {
    mp::Pool pool(1);
    const mp::test::Gate gate;
    const mp::Queue<int> runs;
    const mp::AsyncResult<int> first = pool.apply_async(mp::test::pass_gate, gate.path(), 1);
    const mp::AsyncResult<int> second = pool.apply_async(spoil_results, runs, 2);
    gate.open();
    EXPECT_EQ(runs.get(), 2);
    for (const auto& result : {first, second}) {
        try {
            (void)result.get();  // there are moments at which it does not matter
        } catch (const mp::WorkerDied&) {}
    }
    EXPECT_EQ(pool.apply(echo, 3), 3);
    EXPECT_EQ(runs.try_get(), std::nullopt);
}

// Whether the arguments lie in shared memory that this worker cannot write to. (Where a system has no /proc: true.)
bool has_readonly_segment(std::span<const double> numbers) {
    std::ifstream maps("/proc/self/maps");
    if (!maps) return true;
    for (std::string line; std::getline(maps, line);) {
        std::uintptr_t begin = 0, end = 0;
        char dash = 0;
        std::string access;
        std::istringstream(line) >> std::hex >> begin >> dash >> end >> access;
        if (access == "r--s" && end - begin >= numbers.size_bytes()) return true;
    }
    return false;
}

// Says that it is at the task behind this one, and has been for ever.
void claim_next_task(const std::string& begun, const std::string& gate) {
    mp::test::open_gate(begun);
    mp::test::Gate::await(gate);
    ControlBlock* const control = own_channel();
    if (control == nullptr) std::abort();
    control->running_since.store(0);
    control->running.fetch_add(1);
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
}

TEST_F(PoolHostile, AWorkerThatClaimsToRunALaterTaskIsEnded) {
    mp::Pool pool(1);
    const mp::test::Gate begun, handed_on;
    const mp::AsyncResult<void> first =
        pool.with({.timeout = std::chrono::minutes(10)}).apply_async(claim_next_task, begun.path(), handed_on.path());
    ASSERT_TRUE(begun.await());
    const mp::AsyncResult<int> second = pool.with({.timeout = std::chrono::milliseconds(20)}).apply_async(echo, 7);
    handed_on.open();
    EXPECT_THROW(first.get(), mp::WorkerDied);
    EXPECT_EQ(second.get(), 7);
}

// They are shared by all workers, so one that scribbles must not reach the others' arguments.
TEST_F(PoolHostile, LargeArgumentsCannotBeWrittenByWorkers) {
    mp::Pool pool(2);
    EXPECT_TRUE(pool.apply(has_readonly_segment, std::vector<double>(100'000)));
}

}  // namespace
