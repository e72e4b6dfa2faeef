// The ring of a queue: whoever sleeps until there is room is not misled by a hint that is behind.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "queue_ring.hpp"

namespace multiproc {
namespace {

using Result = QueueRing::Result;

// As this process signs; nobody dies here.
constexpr std::uint32_t self = 1;

// A ring in memory of its own.
class Ring {
public:
    Ring(std::uint32_t capacity, std::uint32_t limit)
        : lines_(new Line[QueueRing::bytes_for(capacity, stride) / 64 + 1]()) {
        get().set_up(capacity, limit, stride);
    }
    QueueRing& get() noexcept { return *reinterpret_cast<QueueRing*>(lines_.get()); }
    QueueRing* operator->() noexcept { return &get(); }

    // What a thread stores late that was held up in the middle of `step`, before it said how far the ring is: the one
    // word of the ring's own that `step` changes, by one.
    template <class Step>
    std::uint64_t* hint_of(Step step) {
        const std::vector<std::uint64_t> before = words();
        step();
        const std::vector<std::uint64_t> after = words();
        std::uint64_t* hint = nullptr;
        for (std::size_t i = 0; i < before.size(); ++i) {
            if (after[i] != before[i] + 1) continue;
            EXPECT_EQ(hint, nullptr) << "it has changed two words";
            hint = reinterpret_cast<std::uint64_t*>(lines_.get()) + i;
        }
        EXPECT_NE(hint, nullptr);
        return hint;
    }

    void put() { get().publish(claimed()); }
    void take() {
        const QueueRing::Claim claim = get().take(self);
        ASSERT_EQ(claim.result, Result::done);
        get().free(claim);
    }
    QueueRing::Claim claimed() {
        const QueueRing::Claim claim = get().claim(self);
        EXPECT_EQ(claim.result, Result::done);
        return claim;
    }

private:
    static constexpr std::uint32_t stride = 64;
    struct Line {
        alignas(64) std::byte bytes[64];
    };
    std::vector<std::uint64_t> words() const {
        std::vector<std::uint64_t> all(sizeof(QueueRing) / sizeof(std::uint64_t));
        std::memcpy(all.data(), lines_.get(), sizeof(QueueRing));
        return all;
    }

    std::unique_ptr<Line[]> lines_;
};

TEST(QueueRing, HasRoomAlsoWhereAProducerSaysLateThatItHasClaimedItsSlot) {
    Ring ring(2, 2);
    QueueRing::Claim held_up;
    std::uint64_t* const tail = ring.hint_of([&] { held_up = ring.claimed(); });
    const std::uint64_t late = *tail;
    ring.put();
    EXPECT_EQ(ring->claim(self).result, Result::no);
    EXPECT_FALSE(ring->has_room());
    *tail = late;
    ring->publish(held_up);
    ring.take();
    ring.take();
    EXPECT_TRUE(ring->has_room());
    ring.put();
}

TEST(QueueRing, HasRoomAlsoWhereAConsumerSaysLateThatItHasTakenItsItem) {
    Ring ring(4, 3);
    for (int i = 0; i < 3; ++i) ring.put();
    EXPECT_FALSE(ring->has_room());
    QueueRing::Claim held_up;
    std::uint64_t* const head = ring.hint_of([&] { held_up = ring->take(self); });
    const std::uint64_t late = *head;
    ring.put();
    for (int i = 0; i < 3; ++i) ring.take();
    EXPECT_EQ(ring->claim(self).result, Result::no);  // the next slot is still being taken
    *head = late;
    ring->free(held_up);
    EXPECT_TRUE(ring->has_room());
    ring.put();
}

TEST(QueueRing, HasNoRoomWhileItIsFull) {
    Ring limited(4, 3);
    Ring full(2, 2);
    for (int i = 0; i < 3; ++i) limited.put();
    for (int i = 0; i < 2; ++i) full.put();
    for (Ring* const ring : {&limited, &full}) {
        EXPECT_FALSE((*ring)->has_room());
        EXPECT_EQ((*ring)->claim(self).result, Result::no);
        ring->take();
        EXPECT_TRUE((*ring)->has_room());
    }
}

}  // namespace
}  // namespace multiproc
