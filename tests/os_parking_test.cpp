// Sleeping until another thread or process changes a word.
#include "support/os_child.hpp"

#include <thread>

namespace multiproc::os::test {
namespace {

using Word = std::atomic<std::uint32_t>;

// The memory of a ping-pong: the parent waits for `pong`, the child for `ping`.
struct Table {
    Word ping;
    Word pong;
};

constexpr std::uint32_t rounds = 2000;

OS_CHILD(answers_each_ping) {
    Segment segment = Segment::adopt(std::move(args.handles.at(0)), sizeof(Table));
    Table& table = *reinterpret_cast<Table*>(segment.data());
    std::vector<Handle> lot_handles;
    for (std::size_t i = 1; i < args.handles.size(); ++i) lot_handles.push_back(std::move(args.handles[i]));
    const auto lot = ParkingLot::adopt(std::move(lot_handles));
    for (std::uint32_t round = 1; round <= rounds; ++round) {
        while (table.ping.load() != round) {
            if (!lot->park(1, table.ping, round - 1, Clock::now() + patience)) return 1;
        }
        table.pong = round;
        lot->unpark(0, table.pong);
    }
    return 0;
}

TEST(OsParking, WakesAnotherProcess) {
    const auto lot = ParkingLot::create();
    const Segment segment = Segment::create(sizeof(Table));
    Table& table = *reinterpret_cast<Table*>(segment.data());
    StartOptions options;
    options.handles = {segment.handle()};
    for (const RawHandle handle : lot->handles()) options.handles.push_back(handle);
    TestChild child(StartMethod::spawn, "answers_each_ping", options);
    for (std::uint32_t round = 1; round <= rounds; ++round) {
        table.ping = round;
        lot->unpark(1, table.ping);
        while (table.pong.load() != round) {
            ASSERT_TRUE(lot->park(0, table.pong, round - 1, Clock::now() + patience)) << "round " << round;
        }
    }
    EXPECT_EQ(child.wait(), ExitStatus::exited(0));
}

TEST(OsParking, ReturnsAtOnceWhenTheWordHasChanged) {
    const auto lot = ParkingLot::create();
    Word word{1};
    EXPECT_TRUE(lot->park(3, word, 0, never));
}

TEST(OsParking, WakingBeforeSleepingIsNotLost) {
    const auto lot = ParkingLot::create();
    for (std::uint32_t i = 0; i < 500; ++i) {
        Word word{0};
        std::thread waker([&] {
            word = 1;
            lot->unpark(7, word);
        });
        while (word.load() == 0) lot->park(7, word, 0, never);
        waker.join();
    }
}

TEST(OsParking, KeepsItsDeadline) {
    const auto lot = ParkingLot::create();
    Word word{0};
    for (const auto wait :
         {std::chrono::milliseconds(-5), std::chrono::milliseconds(0), std::chrono::milliseconds(30)}) {
        const Deadline begin = Clock::now();
        bool woken = true;
        while (woken) woken = lot->park(5, word, 0, begin + wait);  // it may return early for no reason
        EXPECT_GE(Clock::now(), begin + wait);
        EXPECT_LT(Clock::now(), begin + wait + std::chrono::seconds(5));
    }
}

TEST(OsParking, AnOldWakingCostsAtMostAnEarlyReturn) {
    const auto lot = ParkingLot::create();
    Word word{0};
    lot->unpark(9, word);
    lot->unpark(9, word);
    const Deadline deadline = Clock::now() + std::chrono::milliseconds(20);
    int returns = 0;
    while (lot->park(9, word, 0, deadline)) ++returns;
    EXPECT_LE(returns, 1000);
    EXPECT_GE(Clock::now(), deadline);
}

}  // namespace
}  // namespace multiproc::os::test
