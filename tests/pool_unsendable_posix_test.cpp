// Tasks whose memory cannot be sent to a worker: they fail, or go to another one, and nothing waits behind them.
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"
#include "support/gate.hpp"

namespace {

using namespace std::chrono_literals;
namespace mp = multiproc;

using PoolUnsendable = mp::test::EachStartMethod;

using Bytes = std::vector<std::byte>;
std::size_t count_bytes(const Bytes& bytes) { return bytes.size(); }
int twice(int number) { return 2 * number; }

// As a library does that makes a daemon of its process.
int close_all(int number) {
    for (int fd = 3; fd < 1024; ++fd) ::close(fd);
    return number;
}

TEST_F(PoolUnsendable, AWorkerThatHasClosedItsDescriptorsIsReplacedWhenItIsToGetSome) {
    mp::Pool pool(2);
    try {
        EXPECT_EQ(pool.apply(close_all, 1), 1);
    } catch (const mp::WorkerDied&) {}  // what ends it with its parent was among them
    const Bytes bytes(1 << 20);
    std::vector<mp::AsyncResult<std::size_t>> large;
    for (int i = 0; i < 6; ++i) large.push_back(pool.apply_async(count_bytes, bytes));
    const mp::AsyncResult<int> small = pool.apply_async(twice, 21);
    for (const auto& result : large) EXPECT_EQ(result.get_for(60s), bytes.size());
    EXPECT_EQ(small.get_for(60s), 42);
}

std::optional<mp::SharedArray<int>> of_the_original;
int first_of(const mp::SharedArray<int>& array) { return array[0]; }

// 1: there is an error that says so, and what comes behind is done.
int hand_on_what_the_copy_has() {
    mp::Pool pool(1);
    const mp::AsyncResult<int> mine = pool.apply_async(first_of, *of_the_original);
    const mp::AsyncResult<int> behind = pool.apply_async(twice, 4);
    try {
        (void)mine.get_for(60s);
        return 0;
    } catch (const std::system_error& error) {
        return error.code() == std::errc::operation_not_permitted && behind.get_for(60s) == 8 ? 1 : 2;
    }
}

TEST_F(PoolUnsendable, WhatACopyOfAProcessMayNotHandOnFailsItsTaskAndHoldsUpNoOther) {
    allow(2, 8);
    of_the_original.emplace(2'000, 7);
    mp::Process copy(mp::ProcessOptions{.start_method = mp::StartMethod::fork}, hand_on_what_the_copy_has);
    copy.start();
    EXPECT_EQ(copy.result(), 1);
    of_the_original.reset();
}

// Calls that are sent together, with one array.
TEST_F(PoolUnsendable, AnArrayThatSeveralTasksShareIsSentOnce) {
    mp::Pool pool(1);
    const mp::test::Gate gate;
    const mp::SharedArray<int> array(2'000, 5);
    const mp::AsyncResult<int> before = pool.apply_async(mp::test::pass_gate, gate.path(), 1);
    std::vector<mp::AsyncResult<int>> results;
    for (int i = 0; i < 8; ++i) results.push_back(pool.apply_async(first_of, array));
    gate.open();
    for (const auto& result : results) EXPECT_EQ(result.get(), 5);
    EXPECT_EQ(before.get(), 1);
}

}  // namespace
