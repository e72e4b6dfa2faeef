// Handing a handle to a process that runs.
#include "support/os_child.hpp"

#include <system_error>

namespace multiproc::os::test {
namespace {

class OsHandlePassing : public testing::TestWithParam<StartMethod> {};

INSTANTIATE_TEST_SUITE_P(Methods, OsHandlePassing, testing::ValuesIn(start_methods()),
                         [](const auto& method) { return name_of(method.param); });

constexpr std::size_t size = 4096;

std::error_condition receive_error(HandleLink& link, std::uint64_t token) {
    try {
        link.receive(token);
    } catch (const std::system_error& error) { return error.code().default_error_condition(); }
    return {};
}

// Receives three segments, adds one to the first byte of each, then sends three of its own.
OS_CHILD(trades_segments) {
    const auto link = HandleLink::adopt(std::move(args.handles.at(0)));
    if (!await_word(args.stage.words[0], 1)) return 1;
    for (std::size_t i = 0; i < 3; ++i) {
        Segment segment = Segment::adopt(link->receive(args.stage.words[10 + i]), size);
        segment.data()[0] = static_cast<std::byte>(static_cast<int>(segment.data()[0]) + 1);
    }
    for (std::size_t i = 0; i < 3; ++i) {
        const Segment mine = Segment::create(size);
        mine.data()[0] = static_cast<std::byte>(70 + i);
        args.stage.words[20 + i] = link->send(mine.handle());
    }
    args.stage.words[1] = 1;
    if (text_of(args.stage) == "stays") wait_for_the_end();
    return 0;
}

void trade(StartMethod method, bool dead) {
    auto [link, child_end] = HandleLink::create();
    TestChild child(method, "trades_segments", {.text = dead ? "" : "stays", .handles = {child_end.raw()}});
    child_end.reset();
    link->connect(child.process());
    std::vector<Segment> segments;
    for (std::size_t i = 0; i < 3; ++i) {
        segments.push_back(Segment::create(size));
        segments.back().data()[0] = static_cast<std::byte>(i);
        child.stage().words[10 + i] = link->send(segments.back().handle());
    }
    child.stage().words[0] = 1;
    ASSERT_TRUE(await_word(child.stage().words[1], 1));
    if (dead) { ASSERT_EQ(child.wait(), ExitStatus::exited(0)); }
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(segments[i].data()[0], static_cast<std::byte>(i + 1));
        const Segment theirs = Segment::adopt(link->receive(child.word(20 + i)), size);
        EXPECT_EQ(theirs.data()[0], static_cast<std::byte>(70 + i));
    }
    EXPECT_EQ(receive_error(*link, child.word(22) + 1), std::errc::bad_message);
}

TEST_P(OsHandlePassing, BothWays) { trade(GetParam(), false); }

TEST_P(OsHandlePassing, WhatADeadChildSentCanBeReceived) { trade(GetParam(), true); }

OS_CHILD(ends_when_told) {
    const auto link = HandleLink::adopt(std::move(args.handles.at(0)));
    args.stage.words[1] = 1;
    return await_word(args.stage.words[0], 1) ? 0 : 1;
}

TEST_P(OsHandlePassing, SendingToADeadChildIsAnError) {
    auto [link, child_end] = HandleLink::create();
    TestChild child(GetParam(), "ends_when_told", {.handles = {child_end.raw()}});
    child_end.reset();
    link->connect(child.process());
    child.stage().words[0] = 1;
    ASSERT_EQ(child.wait(), ExitStatus::exited(0));
    const Segment segment = Segment::create(size);
    EXPECT_THROW(link->send(segment.handle()), std::system_error);
}

TEST_P(OsHandlePassing, SendingNeverBlocks) {
    auto [link, child_end] = HandleLink::create();
    TestChild child(GetParam(), "ends_when_told", {.handles = {child_end.raw()}});
    child_end.reset();
    link->connect(child.process());
    ASSERT_TRUE(await_word(child.stage().words[1], 1));
    const Segment segment = Segment::create(size);
    bool refused = false;
    for (int i = 0; i < 100000 && !refused; ++i) {
        try {
            link->send(segment.handle());
        } catch (const std::system_error&) { refused = true; }
    }
    EXPECT_TRUE(refused);
    child.stage().words[0] = 1;
    EXPECT_EQ(child.wait(), ExitStatus::exited(0));
}

TEST(OsHandleLink, SendBeforeConnectIsAnError) {
    auto [link, child_end] = HandleLink::create();
    const Segment segment = Segment::create(size);
    EXPECT_THROW(link->send(segment.handle()), std::system_error);
}

TEST(OsHandleLink, ReceivingWhatWasNeverSentIsAnErrorAndNeverBlocks) {
    auto [link, child_end] = HandleLink::create();
    EXPECT_EQ(receive_error(*link, 1), std::errc::bad_message);
    child_end.reset();
    EXPECT_EQ(receive_error(*link, 1), std::errc::bad_message);
}

}  // namespace
}  // namespace multiproc::os::test
