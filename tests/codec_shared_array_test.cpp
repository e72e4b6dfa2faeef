// SharedArray in one process: its elements, and its way through a message.
#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include <multiproc/shared_array.hpp>

#include "support/codec_samples.hpp"

namespace {

using multiproc::SharedArray;

struct Pixel {
    std::uint8_t red, green, blue;
    bool operator==(const Pixel&) const = default;
};

template <class T>
T through_message(const T& value) {
    multiproc::HeapBuffer out;
    multiproc::encode(out, value);
    multiproc::InputBuffer in(out.bytes());
    T back = multiproc::decode<T>(in);
    EXPECT_EQ(in.remaining(), 0u);
    return back;
}

TEST(SharedArray, begins_as_zeros) {
    const SharedArray<double> numbers(100'000);
    ASSERT_EQ(numbers.size(), 100'000u);
    for (const double number : numbers) ASSERT_EQ(number, 0);
}

TEST(SharedArray, is_filled_or_copied_from_values) {
    const SharedArray<int> sevens(3, 7);
    EXPECT_EQ(std::vector<int>(sevens.begin(), sevens.end()), (std::vector<int>{7, 7, 7}));
    const std::vector<int> values{1, 2, 3, 4};
    const SharedArray copied{std::span(values)};
    EXPECT_EQ(std::vector<int>(copied.begin(), copied.end()), values);
    EXPECT_EQ(copied.front(), 1);
    EXPECT_EQ(copied.back(), 4);
    EXPECT_EQ(copied.at(2), 3);
    EXPECT_THROW((void)copied.at(4), std::out_of_range);
}

TEST(SharedArray, copies_and_slices_share_the_elements) {
    SharedArray<int> numbers(10);
    const SharedArray<int> copy = numbers;
    const SharedArray<int> middle = numbers.slice(4, 3);
    copy[5] = 42;
    EXPECT_EQ(numbers[5], 42);
    EXPECT_EQ(middle[1], 42);
    EXPECT_EQ(middle.size(), 3u);
    EXPECT_EQ(middle.slice(1, 1).front(), 42);
    EXPECT_TRUE(numbers.slice(10, 0).empty());
    EXPECT_THROW((void)numbers.slice(8, 3), std::out_of_range);
    EXPECT_THROW((void)numbers.slice(11, 0), std::out_of_range);
    EXPECT_THROW((void)middle.slice(1, SIZE_MAX), std::out_of_range);
    numbers = SharedArray<int>();
    EXPECT_EQ(middle[1], 42) << "a slice keeps the elements";
}

TEST(SharedArray, can_be_empty_and_is_empty_after_a_move) {
    SharedArray<int> numbers(5);
    const SharedArray<int> moved = std::move(numbers);
    EXPECT_EQ(moved.size(), 5u);
    EXPECT_TRUE(numbers.empty());  // NOLINT(bugprone-use-after-move): what is promised
    EXPECT_EQ(numbers.data(), nullptr);
    EXPECT_TRUE(SharedArray<int>(0).empty());
    EXPECT_TRUE(through_message(SharedArray<int>()).empty());
}

TEST(SharedArray, of_an_impossible_size_is_an_error) {
    EXPECT_THROW(SharedArray<double>(SIZE_MAX / 4), std::length_error);
    EXPECT_ANY_THROW(SharedArray<char>(SIZE_MAX - 4096));
}

TEST(SharedArray, goes_through_a_message_without_a_copy) {
    const SharedArray<Pixel> picture(1'000, {1, 2, 3});
    const SharedArray<Pixel> back = through_message(picture);
    EXPECT_EQ(back.data(), picture.data());
    EXPECT_EQ(back.size(), picture.size());
    EXPECT_EQ(through_message(picture.slice(10, 5)).data(), picture.data() + 10);
    const std::vector<SharedArray<Pixel>> several{picture, picture.slice(1, 1), {}};
    EXPECT_EQ(through_message(several).at(1).data(), picture.data() + 1);
}

TEST(SharedArray, lives_as_long_as_a_message_that_names_it) {
    multiproc::HeapBuffer out;
    {
        SharedArray<int> numbers(3, 5);
        multiproc::encode(out, numbers);
    }
    multiproc::InputBuffer in(out.bytes());
    EXPECT_EQ(multiproc::decode<SharedArray<int>>(in)[2], 5);
}

TEST(SharedArray, that_did_not_come_with_its_message_is_an_error) {
    const std::vector<std::byte> bytes = codec_samples::bytes_of(SharedArray<int>(3));
    EXPECT_THROW((void)codec_samples::from_bytes<SharedArray<int>>(bytes), multiproc::CodecError);
}

TEST(SharedArray, hostile_bytes_reach_no_memory_outside_of_it) {
    const SharedArray<std::uint64_t> numbers(8);
    // Count, id of the memory, offset.
    const std::vector<std::byte> good = codec_samples::bytes_of(numbers.slice(1, 7));
    ASSERT_EQ(good.size(), 3 * sizeof(std::uint64_t));
    const auto changed = [&](std::size_t word, std::uint64_t value) {
        std::vector<std::byte> bytes = good;
        std::memcpy(bytes.data() + word * sizeof value, &value, sizeof value);
        return bytes;
    };
    constexpr std::uint64_t is_slice = std::uint64_t{1} << 63;
    constexpr std::uint64_t page = 64 * 1024;  // a block may be a little larger than asked for
    for (const auto& bytes : {changed(0, is_slice), changed(0, is_slice | page), changed(0, UINT64_MAX),
                              changed(0, is_slice | (is_slice >> 3)), changed(1, 12345), changed(2, page),
                              changed(2, 3), changed(2, UINT64_MAX - 7), changed(2, 56 + page)}) {
        EXPECT_THROW((void)codec_samples::from_bytes<SharedArray<std::uint64_t>>(bytes), multiproc::CodecError);
    }
    for (std::size_t length = 0; length < good.size(); ++length) {
        const std::vector<std::byte> cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length));
        EXPECT_THROW((void)codec_samples::from_bytes<SharedArray<std::uint64_t>>(cut), multiproc::CodecError);
    }
    EXPECT_EQ(codec_samples::from_bytes<SharedArray<std::uint64_t>>(good).data(), numbers.data() + 1);
}

TEST(SharedArray, more_of_them_than_a_message_can_have_are_an_error) {
    multiproc::HeapBuffer out;
    const SharedArray<int> one(10);
    for (std::size_t i = 0; i < 5'000; ++i) multiproc::encode(out, one.slice(i % 10, 1));  // all in one
    EXPECT_EQ(out.attachments().size(), 1u);
    const auto add_another = [&] { multiproc::encode(out, SharedArray<int>(1)); };
    for (std::size_t i = 1; i < 1'000; ++i) add_another();
    EXPECT_THROW(add_another(), multiproc::CodecError);
}

}  // namespace
