// Shared objects stay shared, and what cannot be said in one message is an error.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "support/codec_samples.hpp"

using namespace codec_samples;

namespace {

using Text = std::shared_ptr<std::string>;

TEST(CodecShared, PointersToOneObjectArriveAsPointersToOneObject) {
    const Text a = std::make_shared<std::string>("a");
    const Text b = std::make_shared<std::string>("b");
    const auto arrived = sent(std::vector<Text>{a, b, nullptr, a, b});
    ASSERT_EQ(arrived.size(), 5U);
    EXPECT_EQ(*arrived[0], "a");
    EXPECT_EQ(*arrived[1], "b");
    EXPECT_EQ(arrived[2], nullptr);
    EXPECT_EQ(arrived[0], arrived[3]);
    EXPECT_EQ(arrived[1], arrived[4]);
    EXPECT_NE(arrived[0], arrived[1]);
}

TEST(CodecShared, SharingHoldsAcrossAllValuesOfOneMessage) {
    const Text text = std::make_shared<std::string>("a");
    multiproc::HeapBuffer out;
    multiproc::encode(out, text, std::vector<Text>{text}, std::shared_ptr<const std::string>(text));
    multiproc::InputBuffer in(out.bytes());
    const auto [first, list, constant] =
        multiproc::decode_all<Text, std::vector<Text>, std::shared_ptr<const std::string>>(in);
    EXPECT_EQ(*first, "a");
    EXPECT_EQ(first, list[0]);
    EXPECT_EQ(first, constant);
}

TEST(CodecShared, AnObjectAndItsFirstMemberAreTwoObjects) {
    const auto whole = std::make_shared<Point>(Point{1, 2});
    const std::shared_ptr<std::int32_t> part(whole, &whole->x);
    multiproc::HeapBuffer out;
    multiproc::encode(out, whole, part);
    multiproc::InputBuffer in(out.bytes());
    const auto [point, number] = multiproc::decode_all<std::shared_ptr<Point>, std::shared_ptr<std::int32_t>>(in);
    EXPECT_EQ(*point, (Point{1, 2}));
    EXPECT_EQ(*number, 1);
}

TEST(CodecShared, ACycleIsAnErrorThatSaysSo) {
    const auto ring = std::make_shared<Ring>();
    ring->next = std::make_shared<Ring>(Ring{2, ring});
    multiproc::HeapBuffer out;
    try {
        multiproc::encode(out, ring);
        FAIL() << "a cycle was encoded";
    } catch (const multiproc::CodecError& error) {
        EXPECT_NE(std::string(error.what()).find("cycle"), std::string::npos) << error.what();
    }
    ring->next.reset();
}

TEST(CodecShared, ReferencesToUnknownUnfinishedOrOtherObjectsAreErrors) {
    EXPECT_THROW(from_bytes<Text>(bytes_of(std::uint32_t{2})), multiproc::CodecError);
    // An object that refers to itself while it is being read.
    EXPECT_THROW(from_bytes<std::shared_ptr<Ring>>(bytes_of(std::uint32_t{1}, int{5}, std::uint32_t{1})),
                 multiproc::CodecError);
    // The second pointer refers to the first one's object, which is of another type.
    const auto bytes = bytes_of(std::uint32_t{1}, std::string("a"), std::uint32_t{1});
    using Other = std::pair<Text, std::shared_ptr<int>>;
    EXPECT_THROW(from_bytes<Other>(bytes), multiproc::CodecError);
}

TEST(CodecShared, DeepNestingIsAnErrorOnBothSides) {
    Chain chain;
    for (int i = 0; i != 10'000; ++i) {
        Chain longer;
        longer.next = std::make_unique<Chain>(std::move(chain));
        chain = std::move(longer);
    }
    multiproc::HeapBuffer out;
    EXPECT_THROW(multiproc::encode(out, chain), multiproc::CodecError);
    // Taken apart by hand: the destructor of so long a chain would need much stack.
    for (auto rest = std::move(chain.next); rest;) rest = std::move(rest->next);

    multiproc::HeapBuffer hostile;
    for (int i = 0; i != 1'000'000; ++i) multiproc::encode(hostile, 1, true);
    multiproc::InputBuffer in(hostile.bytes());
    EXPECT_THROW(multiproc::decode<Chain>(in), multiproc::CodecError);

    multiproc::HeapBuffer trees;
    for (int i = 0; i != 1'000'000; ++i) multiproc::encode(trees, 1, std::uint64_t{1});
    multiproc::InputBuffer more(trees.bytes());
    EXPECT_THROW(multiproc::decode<Tree>(more), multiproc::CodecError);
}

struct Animal {
    virtual ~Animal() = default;
    int legs = 0;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(legs);
    }
};
struct Dog : Animal {
    std::string name = "Rex";
};

TEST(CodecShared, AnObjectOfADerivedClassIsNeverCutDown) {
    multiproc::HeapBuffer out;
    EXPECT_THROW(multiproc::encode(out, std::shared_ptr<Animal>(std::make_shared<Dog>())), multiproc::CodecError);
    EXPECT_THROW(multiproc::encode(out, std::unique_ptr<Animal>(std::make_unique<Dog>())), multiproc::CodecError);
    const auto animal = std::make_shared<Animal>();
    animal->legs = 4;
    EXPECT_EQ(sent(animal)->legs, 4);
}

struct ThrowsWhenMoved {
    ThrowsWhenMoved() = default;
    ThrowsWhenMoved(ThrowsWhenMoved&&) { throw std::runtime_error("moved"); }
    ThrowsWhenMoved(const ThrowsWhenMoved&) { throw std::runtime_error("copied"); }
    template <class Archive>
    void serialize(Archive&) {}
};

TEST(CodecShared, AValuelessVariantIsAnError) {
    std::variant<int, ThrowsWhenMoved> variant = 1;
    EXPECT_THROW(variant.emplace<ThrowsWhenMoved>(ThrowsWhenMoved()), std::runtime_error);
    ASSERT_TRUE(variant.valueless_by_exception());
    multiproc::HeapBuffer out;
    EXPECT_THROW(multiproc::encode(out, variant), multiproc::CodecError);
}

}  // namespace
