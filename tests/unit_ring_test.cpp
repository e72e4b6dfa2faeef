// The rings between a parent and a worker: what is sent arrives once and whole; a task is begun or taken back, never both.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include "ring.hpp"

namespace multiproc {
namespace {

constexpr std::size_t capacity = 4096;

// Memory as a fresh segment has it.
class Memory {
public:
    RingMemory ring() const noexcept { return {reinterpret_cast<std::byte*>(lines_.get()), capacity}; }

private:
    struct Line {
        alignas(cache_line) std::byte bytes[cache_line];
    };
    std::unique_ptr<Line[]> lines_{new Line[capacity / cache_line]()};
};

class RingTasks : public testing::Test {
protected:
    // A record whose cells all say `number`; its position, or nothing.
    std::optional<std::uint64_t> send(std::uint64_t number, std::size_t size = ring_cell) {
        std::byte* const place = parent.reserve(size);
        if (place == nullptr) return std::nullopt;
        for (std::size_t at = sizeof(RecordWord); at + sizeof number <= size; at += sizeof number)
            std::memcpy(place + at, &number, sizeof number);
        return parent.push(RecordKind::call, size);
    }
    // What the record says, 0 if its cells do not agree.
    static std::uint64_t number_in(const TaskRingWorker::Record& record) {
        std::uint64_t number = 0;
        std::memcpy(&number, record.place + sizeof(RecordWord), sizeof number);
        for (std::size_t at = sizeof(RecordWord); at + sizeof number <= record.head.size; at += sizeof number)
            if (std::memcmp(record.place + at, &number, sizeof number) != 0) return 0;
        return number;
    }

    Memory memory;
    TaskRingHeader header{};
    TaskRingParent parent{&header, memory.ring()};
    TaskRingWorker worker{&header, memory.ring()};
};

TEST_F(RingTasks, ArriveInOrderHoweverLongTheyAre) {
    std::mt19937 random(1);
    for (std::uint64_t number = 1; number <= 5000; ++number) {
        const std::size_t size = ring_cell * (1 + random() % 12);
        ASSERT_TRUE(send(number, size));
        const auto record = worker.begin();
        ASSERT_TRUE(record);
        EXPECT_EQ(number_in(*record), number);
        EXPECT_EQ(record->head.size, size);
        EXPECT_FALSE(worker.begin());
        parent.release(parent.bottom());
    }
}

TEST_F(RingTasks, FillTheRingAndNoMore) {
    std::uint64_t sent = 0;
    while (send(sent + 1)) ++sent;
    EXPECT_EQ(sent, capacity / ring_cell - RingMemory::cells_behind);
    for (std::uint64_t number = 1; number <= sent; ++number) {
        const auto record = worker.begin();
        ASSERT_TRUE(record);
        EXPECT_EQ(number_in(*record), number);
    }
    EXPECT_TRUE(worker.is_empty());
    EXPECT_FALSE(worker.begin());
}

TEST_F(RingTasks, AreTakenBackFromTheLastOne) {
    const std::uint64_t first = *send(1);
    const std::uint64_t second = *send(2);
    ASSERT_TRUE(send(3));
    ASSERT_TRUE(worker.begin());
    EXPECT_TRUE(parent.is_begun(first));
    EXPECT_FALSE(parent.take_back(first));
    EXPECT_TRUE(parent.take_back(second));
    EXPECT_FALSE(parent.is_begun(second));
    EXPECT_FALSE(parent.take_back(second)) << "there is nothing left to take back";
    EXPECT_FALSE(worker.begin());
    EXPECT_TRUE(worker.is_empty());
    // What comes next takes that place, and what was behind it is gone.
    ASSERT_EQ(*send(4), second);
    EXPECT_EQ(number_in(*worker.begin()), 4u);
    EXPECT_FALSE(worker.begin());
}

TEST_F(RingTasks, AreNotBegunBeforeTheyWereSent) {
    const std::uint64_t first = *send(1);
    header.begun = parent.bottom() + ring_cell;  // nonsense
    EXPECT_FALSE(parent.is_begun(first));
    EXPECT_TRUE(parent.take_back(first));
}

// The worker has begun the first record, and is about to withdraw that it begins the second one.
TEST_F(RingTasks, AreBegunThoughTheWorkerSaysSoOfOneThatWasTakenBack) {
    const std::uint64_t first = *send(1);
    const std::uint64_t second = *send(2);
    ASSERT_TRUE(worker.begin());
    const std::uint64_t end = parent.bottom();
    ASSERT_TRUE(parent.take_back(second));
    header.begun = end;
    EXPECT_TRUE(parent.is_begun(first));
    EXPECT_FALSE(parent.take_back(first));
}

TEST_F(RingTasks, AreLowWithOneLeft) {
    send(1);
    EXPECT_TRUE(worker.is_low());
    send(2);
    EXPECT_FALSE(worker.is_low());
    worker.begin();
    EXPECT_TRUE(worker.is_low());
}

// Every task is begun by the worker or taken back by the parent, never both, and what is begun is whole. The same number
// never goes to the same place twice, so a record that was replaced under the worker's eyes would show.
TEST_F(RingTasks, AreBegunOrTakenBackNeverBoth) {
    constexpr std::uint64_t most = 200'000;
    std::vector<std::uint64_t> begun;
    std::atomic<std::uint64_t> progress{0};  // in lieu of results
    std::thread thread([&] {
        for (bool running = true; running;) {
            const auto record = worker.begin();
            if (!record) {
                std::this_thread::yield();
                continue;
            }
            if (record->head.kind == RecordKind::stop) {
                running = false;
            } else {
                begun.push_back(number_in(*record));
                progress.fetch_add(1, std::memory_order_release);
            }
        }
    });
    std::vector<std::uint64_t> kept;
    std::uint64_t number = 0;
    std::uint64_t withdrawn = 0;
    struct Sent {
        std::uint64_t number, position, end;
    };
    std::vector<Sent> in_ring;
    std::mt19937 random(2);
    std::uint64_t released = 0;
    while (number < most) {
        for (std::uint64_t batch = random() % 3 + 1; batch != 0; --batch) {
            const auto position = send(number + 1, ring_cell * (1 + random() % 3));
            if (!position) break;
            in_ring.push_back({++number, *position, parent.bottom()});
        }
        for (std::uint64_t wait = random() % 64; wait != 0; --wait) progress.load(std::memory_order_relaxed);
        while (!in_ring.empty() && random() % 4 != 0 && parent.take_back(in_ring.back().position)) {
            ++withdrawn;
            in_ring.pop_back();
        }
        const std::uint64_t done = progress.load(std::memory_order_acquire);
        std::size_t gone = 0;
        for (; released < done; ++released) kept.push_back(in_ring[gone++].number);
        if (gone != 0) parent.release(in_ring[gone - 1].end);
        in_ring.erase(in_ring.begin(), in_ring.begin() + static_cast<std::ptrdiff_t>(gone));
    }
    while (parent.reserve(sizeof(RecordWord)) == nullptr) {
        if (progress.load(std::memory_order_acquire) != released + in_ring.size()) continue;
        parent.release(parent.bottom());
    }
    parent.push(RecordKind::stop, sizeof(RecordWord));
    thread.join();
    for (const Sent& sent : in_ring) kept.push_back(sent.number);
    EXPECT_EQ(begun, kept);
    EXPECT_EQ(begun.size() + withdrawn, number);
    EXPECT_NE(withdrawn, 0u);
}

class RingResults : public testing::Test {
protected:
    Memory memory;
    ResultRingHeader header{};
    ResultRingWorker worker{&header, memory.ring()};
    ResultRingParent parent{&header, memory.ring()};
};

// A record shrinks between `reserve` and `push` when an unfinished item moves elsewhere: what it had written behind its
// end must not be taken for the next record, nor for progress of one.
TEST_F(RingResults, WhatWasWrittenBehindARecordIsNoRecord) {
    std::mt19937 random(3);
    for (int i = 0; i < 2000; ++i) {
        const ResultRingWorker::Room room = worker.reserve(sizeof(ResultRecord) + 64);
        ASSERT_NE(room.place, nullptr);
        const std::size_t written = std::min<std::size_t>(room.size, 1024);
        std::memset(room.place + sizeof(RecordWord), 0xff, written - sizeof(RecordWord));
        const std::size_t size = ring_cell * (1 + random() % 2);
        worker.push(RecordKind::result, size);
        const auto record = parent.peek();
        ASSERT_TRUE(record);
        EXPECT_EQ(record->head.size, size);
        parent.pop(*record);
        ASSERT_TRUE(parent.is_empty());
        const auto* next = reinterpret_cast<const ResultRecord*>(parent.unfinished());
        ASSERT_EQ(next->progress.load(), 0u);
    }
    EXPECT_TRUE(parent.is_sound());
}

TEST_F(RingResults, ArriveInOrderWhileTheRingIsFullNowAndThen) {
    constexpr std::uint64_t most = 100'000;
    std::thread thread([&] {
        std::mt19937 random(4);
        for (std::uint64_t number = 1; number <= most; ++number) {
            const std::size_t size = sizeof(ResultRecord) + random() % 700;
            ResultRingWorker::Room room = worker.reserve(size);
            while (room.place == nullptr) {
                std::this_thread::yield();
                room = worker.reserve(size);
            }
            auto* const record = reinterpret_cast<ResultRecord*>(room.place);
            record->id = number;
            std::memset(room.place + sizeof(ResultRecord), static_cast<int>(number % 256), size - sizeof(ResultRecord));
            worker.push(RecordKind::result, size);
        }
    });
    std::mt19937 random(4);
    for (std::uint64_t number = 1; number <= most;) {
        const auto record = parent.peek();
        if (!record) {
            std::this_thread::yield();
            continue;
        }
        const std::size_t bytes = random() % 700;
        const auto* fixed = reinterpret_cast<const ResultRecord*>(record->place);
        const auto* payload = reinterpret_cast<const unsigned char*>(fixed + 1);
        EXPECT_EQ(fixed->id, number);
        EXPECT_EQ(record->head.size, round_up_to_cell(sizeof(ResultRecord) + bytes));
        EXPECT_TRUE(std::all_of(payload, payload + bytes, [&](unsigned char byte) { return byte == number % 256; }));
        parent.pop(*record);
        ++number;
    }
    thread.join();
    EXPECT_TRUE(parent.is_sound());
    EXPECT_TRUE(parent.is_empty());
    EXPECT_TRUE(worker.is_drained());
}

}  // namespace
}  // namespace multiproc
