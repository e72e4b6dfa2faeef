// A worker that writes nonsense into the memory it shares with its parent costs the parent an error, and nothing else.
#include <cstdint>
#include <fstream>
#include <random>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "arena.hpp"
#include "support/each_start_method.hpp"

namespace {

namespace mp = multiproc;

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

// They are shared by all workers, so one that scribbles must not reach the others' arguments.
TEST_F(PoolHostile, LargeArgumentsCannotBeWrittenByWorkers) {
    mp::Pool pool(2);
    EXPECT_TRUE(pool.apply(has_readonly_segment, std::vector<double>(100'000)));
}

}  // namespace
