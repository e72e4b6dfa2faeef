// Pipes between processes and threads.
#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "runtime.hpp"
#include "support/die.hpp"
#include "support/each_start_method.hpp"

namespace {

using namespace std::chrono_literals;
namespace mp = multiproc;
using Clock = std::chrono::steady_clock;
using SyncPipe = mp::test::EachStartMethod;

void serve(mp::Connection<std::string, std::size_t> requests) {
    try {
        for (;;) requests.send(requests.recv().size());
    } catch (const mp::EndOfFile&) {}
}

TEST_F(SyncPipe, carries_messages_both_ways_whole_and_in_order) {
    auto [here, there] = mp::pipe<std::size_t, std::string>();
    mp::Process process(serve, there);
    there.close();
    process.start();
    for (const std::size_t size : {0u, 1u, 100u, 1'127u, 1'128u, 5'000u, 3'000'000u}) here.send(std::string(size, 'x'));
    for (const std::size_t size : {0u, 1u, 100u, 1'127u, 1'128u, 5'000u, 3'000'000u}) EXPECT_EQ(here.recv(), size);
    here.close();
    process.result();
    EXPECT_TRUE(here.closed());
    EXPECT_THROW(here.send("late"), mp::ClosedError);
    EXPECT_THROW((void)here.recv(), mp::ClosedError);
    EXPECT_THROW((void)here.poll(), mp::ClosedError);
}

TEST_F(SyncPipe, ends_when_all_who_have_the_other_end_are_gone) {
    auto [here, there] = mp::pipe<int>();
    mp::Process leaving([](mp::Connection<int, int> mine) { mine.send(1); }, there);
    mp::Process killed(
        [](mp::Connection<int, int> mine) {
            mine.send(2);
            mp::test::die(mp::test::Death::kill);
        },
        there);
    there.close();
    leaving.start();
    killed.start();
    // Both ends are here still: in the arguments of the processes. What they sent comes first, then the end.
    EXPECT_EQ(here.recv() + here.recv(), 3);
    leaving.join();
    killed.join();
    EXPECT_THROW((void)here.recv(), mp::EndOfFile);
    EXPECT_THROW((void)here.recv_for(1h), mp::EndOfFile);
    EXPECT_TRUE(here.poll());
    EXPECT_TRUE(here.poll(std::nullopt));
    EXPECT_THROW(here.send(1), mp::ClosedError);
}

TEST_F(SyncPipe, a_message_that_does_not_fit_the_buffer_is_an_error_that_keeps_it) {
    auto [here, there] = mp::pipe<std::string>();
    there.send("four");
    there.send("fits");
    there.send("");
    char room[4] = {};
    try {
        here.recv_into(std::span(room, 3));
        FAIL();
    } catch (const mp::BufferTooShort<std::string>& error) { EXPECT_EQ(error.message, "four"); }
    EXPECT_EQ(here.recv_into(room), 4u);
    EXPECT_EQ(std::string(room, 4), "fits");
    EXPECT_EQ(here.recv_into(room), 0u);
    there.close();
    EXPECT_THROW(here.recv_into(room), mp::EndOfFile);
}

TEST_F(SyncPipe, poll_never_takes_anything) {
    const auto [a, b] = mp::pipe<std::string>();
    EXPECT_FALSE(a.poll());
    const auto begin = Clock::now();
    EXPECT_FALSE(a.poll(60ms));
    EXPECT_GE(Clock::now() - begin, 60ms);
    EXPECT_EQ(a.recv_for(0s), std::nullopt);
    b.send("one");
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(a.poll(std::nullopt));
    EXPECT_FALSE(b.poll());
    EXPECT_EQ(a.recv(), "one");
    EXPECT_FALSE(a.poll());
}

TEST_F(SyncPipe, an_end_can_be_sent_through_another) {
    auto [outer, outer_there] = mp::pipe<mp::Connection<int, int>>();
    mp::Process process(
        [](mp::Connection<mp::Connection<int, int>, mp::Connection<int, int>> mine) {
            const mp::Connection<int, int> given = mine.recv();
            given.send(given.recv() + 1);
        },
        outer_there);
    process.start();
    auto [here, there] = mp::pipe<int>();
    outer.send(there);
    there.close();
    here.send(41);
    EXPECT_EQ(here.recv(), 42);
    process.result();
    EXPECT_THROW((void)here.recv(), mp::EndOfFile);
}

TEST_F(SyncPipe, a_reader_that_waits_is_told_of_the_end) {
    auto [here, there] = mp::pipe<int>();
    std::optional<mp::Connection<int, int>> last(std::move(there));
    there.close();
    std::thread reader([mine = here] { EXPECT_THROW((void)mine.recv(), mp::EndOfFile); });
    last.reset();
    reader.join();
}

TEST_F(SyncPipe, leaves_nothing_in_shared_memory) {
    mp::Arena& arena = mp::Runtime::get().arena();
    const std::size_t before = arena.object_count();
    {
        const auto [a, b] = mp::pipe<std::string>();
        for (int i = 0; i < 100; ++i) a.send(std::string(2'000, 'x'));
        EXPECT_EQ(b.recv().size(), 2'000u);
    }
    EXPECT_EQ(arena.object_count(), before);
}

}  // namespace
