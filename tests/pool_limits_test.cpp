// What workers may use of the machine: threads of libraries, and workers of pools inside.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"
#include "support/environment.hpp"

namespace {

namespace mp = multiproc;

// The variables are as they were, whatever a test does to them.
class PoolThreads : public mp::test::EachStartMethod {
protected:
    static constexpr const char* names[] = {"OMP_NUM_THREADS",  "OPENBLAS_NUM_THREADS",   "MKL_NUM_THREADS",
                                            "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS"};

    void SetUp() override {
        EachStartMethod::SetUp();
        for (const char* name : names) {
            const char* const value = std::getenv(name);
            saved_.emplace_back(name, value != nullptr ? value : "");
            mp::test::unset_variable(name);
        }
    }
    void TearDown() override {
        for (const auto& [name, value] : saved_) {
            if (value.empty()) {
                mp::test::unset_variable(name);
            } else {
                mp::test::set_variable(name, value);
            }
        }
        EachStartMethod::TearDown();
    }

private:
    std::vector<std::pair<std::string, std::string>> saved_;
};

std::string variable(const std::string& name) {
    const char* const value = std::getenv(name.c_str());
    return value != nullptr ? value : "unset";
}

TEST_F(PoolThreads, LibrariesInWorkersAreToldTheirShareOfTheProcessors) {
    for (const std::size_t workers : {std::size_t{1}, mp::cpu_count(), 2 * mp::cpu_count()}) {
        mp::Pool pool(workers);
        const std::string share = std::to_string(std::max<std::size_t>(mp::cpu_count() / workers, 1));
        for (const char* name : names) {
            EXPECT_EQ(pool.apply(variable, name), share) << name;
            EXPECT_EQ(variable(name), "unset") << name;  // here
        }
    }
}

TEST_F(PoolThreads, AWorkerThatReplacesAnotherIsToldToo) {
    mp::Pool pool({.workers = 1, .max_tasks_per_worker = 1});
    const std::string share = std::to_string(mp::cpu_count());
    for (int i = 0; i < 3; ++i) EXPECT_EQ(pool.apply(variable, "OMP_NUM_THREADS"), share);
}

TEST_F(PoolThreads, WhatTheEnvironmentSaysStays) {
    mp::test::set_variable("OMP_NUM_THREADS", "17");
    mp::Pool pool(2);
    EXPECT_EQ(pool.apply(variable, "OMP_NUM_THREADS"), "17");
    EXPECT_NE(pool.apply(variable, "MKL_NUM_THREADS"), "unset");
    const auto in_nested_worker = [] { return mp::Pool(1).apply(variable, "OMP_NUM_THREADS"); };
    EXPECT_EQ(pool.apply(in_nested_worker), "17");
}

TEST_F(PoolThreads, AreLeftAloneIfAskedFor) {
    mp::Pool pool({.workers = 2, .limit_threads = false});
    for (const char* name : names) EXPECT_EQ(pool.apply(variable, name), "unset") << name;
    EXPECT_EQ(pool.apply([] { return mp::Pool().workers(); }), mp::cpu_count());
}

TEST_F(PoolThreads, APoolInAWorkerHasThatShareAsWorkers) {
    const auto nested_workers = [] { return mp::Pool().workers(); };
    for (const std::size_t workers : {std::size_t{1}, mp::cpu_count()}) {
        mp::Pool pool(workers);
        EXPECT_EQ(pool.apply(nested_workers), std::max<std::size_t>(mp::cpu_count() / workers, 1));
    }
    EXPECT_EQ(mp::Pool().workers(), mp::cpu_count());
    mp::Pool pool(mp::cpu_count());
    EXPECT_EQ(pool.apply([] { return mp::Pool(3).workers(); }), 3u);  // if nothing else is said
}

// The outer pool's variables are inherited, and are not what a user has said.
TEST_F(PoolThreads, WorkersOfAPoolInAWorkerShareItsShare) {
    mp::Pool outer(1);
    const auto in_nested_worker = [](std::size_t workers) {
        return mp::Pool(workers).apply(variable, "OMP_NUM_THREADS");
    };
    EXPECT_EQ(outer.apply(in_nested_worker, std::size_t{1}), std::to_string(mp::cpu_count()));
    EXPECT_EQ(outer.apply(in_nested_worker, mp::cpu_count()), "1");
}

TEST_F(PoolThreads, ANegativeMemoryLimitIsRefused) {
    EXPECT_THROW(mp::Pool({.workers = 1, .memory_limit = -1}), std::invalid_argument);
    mp::Pool pool({.workers = 1, .memory_limit = std::uint64_t{1} << 60});  // more than there can be
    EXPECT_EQ(pool.apply([](int x) { return x + 1; }, 1), 2);
}

}  // namespace
