// Whatever can travel arrives as it was.
#include <gtest/gtest.h>

#include <bitset>
#include <chrono>
#include <complex>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <forward_list>
#include <limits>
#include <list>
#include <set>
#include <system_error>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "support/codec_samples.hpp"

using namespace codec_samples;
using namespace std::chrono_literals;

namespace {

template <class T>
void arrives(const T& value) {
    EXPECT_TRUE(sent(value) == value);
}

TEST(CodecRoundTrip, NumbersArrive) {
    arrives(true);
    arrives('x');
    arrives(std::numeric_limits<std::int64_t>::min());
    arrives(std::numeric_limits<std::uint64_t>::max());
    arrives(-0.1F);
    arrives(std::numeric_limits<double>::infinity());
    arrives(1.0L / 3);
    arrives(U'\U0001F600');
    arrives(Color::green);
    arrives(std::byte{7});
}

TEST(CodecRoundTrip, TextsArrive) {
    arrives(std::string());
    arrives(std::string("with\0null", 9));
    arrives(std::wstring(L"wide"));
    arrives(std::u8string(u8"eight"));
    arrives(std::u16string(300, u'x'));
    arrives(std::string(1 << 20, 'y'));
}

TEST(CodecRoundTrip, SequencesArrive) {
    arrives(std::vector<int>{});
    arrives(std::vector<int>{1, 2, 3});
    arrives(std::vector<double>(10'000, 0.5));
    arrives(std::vector<long double>{1.5L, -2});
    arrives(std::vector<std::string>{"a", "", "ccc"});
    arrives(std::vector<std::vector<Point>>{{{1, 2}}, {}, {{3, 4}, {5, 6}}});
    arrives(std::array<std::string, 2>{"a", "b"});
    arrives(std::array<int, 0>{});
    arrives(std::deque<int>{1, 2, 3});
    arrives(std::list<std::string>{"a", "b"});
    arrives(std::forward_list<std::string>{"a", "b", "c"});
    arrives(std::vector<Switches>{{true, {false, true}, 'a'}, {}});
}

TEST(CodecRoundTrip, VectorOfBoolArrivesAtEveryLength) {
    for (std::size_t length = 0; length != 40; ++length) {
        std::vector<bool> bits(length);
        for (std::size_t i = 0; i != length; ++i) bits[i] = i % 3 == 0;
        arrives(bits);
    }
}

TEST(CodecRoundTrip, SetsAndMapsArrive) {
    arrives(std::set<std::string>{"b", "a"});
    arrives(std::set<int, std::greater<>>{1, 2, 3});
    arrives(std::multiset<int>{1, 1, 2});
    arrives(std::map<int, std::string>{{1, "a"}, {2, "b"}});
    arrives(std::multimap<int, int>{{1, 1}, {1, 2}});
    arrives(std::unordered_set<std::string>{"b", "a"});
    arrives(std::unordered_multiset<int>{1, 1, 2});
    arrives(std::unordered_map<std::string, std::vector<int>>{{"a", {1}}, {"b", {}}});
    arrives(std::unordered_multimap<int, int>{{1, 1}, {1, 2}});
}

TEST(CodecRoundTrip, SumsAndProductsArrive) {
    arrives(std::pair<int, std::string>{1, "a"});
    arrives(std::tuple<int, std::string, Point>{1, "a", {2, 3}});
    arrives(std::tuple<>{});
    arrives(std::optional<std::string>{});
    arrives(std::optional<std::string>{"a"});
    arrives(std::optional<std::optional<int>>{std::optional<int>{}});
    arrives(std::variant<std::monostate, int, std::string>{});
    arrives(std::variant<std::monostate, int, std::string>{"a"});
    arrives(std::variant<int, int>{std::in_place_index<1>, 4});
}

TEST(CodecRoundTrip, OtherStandardTypesArrive) {
    arrives(1500ms);
    arrives(std::chrono::duration<long double>(1.5L));
    arrives(std::chrono::system_clock::now());
    arrives(std::chrono::steady_clock::now());
    arrives(std::vector<std::chrono::nanoseconds>(100, 3ns));
    arrives(std::complex<double>{1, -2});
    arrives(std::complex<long double>{1, -2});
    arrives(std::bitset<11>(0b101'0011'0101));
    arrives(std::bitset<0>());
    arrives(std::filesystem::path("folder/picture.jpg"));
    arrives(std::filesystem::path(u8"\u00fcber/\u4f60"));
    arrives(std::make_error_code(std::errc::permission_denied));
    arrives(std::error_code(5, std::system_category()));
}

TEST(CodecRoundTrip, AggregatesArriveWithoutAMacro) {
    arrives(Point{1, -2});
    arrives(Padded{'a', 2.5});
    arrives(Switches{true, {false, true}, 'x'});
    arrives(sample_job());
    arrives(std::vector<Job>(3, sample_job()));
    arrives(Tree{1, {{2, {}}, {3, {{4, {}}}}}});
}

TEST(CodecRoundTrip, AggregatesWithArraysArriveWhole) {
    arrives(WithArrays{"name", {{1, 2, 3}, {4, 5, 6}}, {"first", "second"}, {{1, 2}, {3, 4}}, "last"});
    struct Flat {
        char text[5];
        std::uint8_t matrix[3][1];
    };
    static_assert(multiproc::is_bitwise_v<Flat>);
    const Flat flat = sent(Flat{"four", {{1}, {2}, {3}}});
    EXPECT_STREQ(flat.text, "four");
    EXPECT_EQ(flat.matrix[2][0], 3);
}

struct Flags {
    unsigned char low : 3;
    unsigned char high : 5;
    bool set : 1;
    int whole;
};

TEST(CodecRoundTrip, BitFieldsArrive) {
    static_assert(!multiproc::is_bitwise_v<Flags>);
    const Flags arrived = sent(Flags{5, 17, true, -4});
    EXPECT_EQ(arrived.low, 5);
    EXPECT_EQ(arrived.high, 17);
    EXPECT_TRUE(arrived.set);
    EXPECT_EQ(arrived.whole, -4);
}

TEST(CodecRoundTrip, AggregatesOf64MembersArrive) {
    // clang-format off
    struct Many {
        int a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3, b4, b5, b6, b7, c0, c1, c2, c3, c4, c5, c6, c7,
            d0, d1, d2, d3, d4, d5, d6, d7, e0, e1, e2, e3, e4, e5, e6, e7, f0, f1, f2, f3, f4, f5, f6, f7,
            g0, g1, g2, g3, g4, g5, g6, g7, h0, h1, h2, h3, h4, h5, h6;
        std::string last;
    };
    // clang-format on
    Many many{};
    many.a1 = 1;
    many.h6 = 2;
    many.last = "x";
    const Many arrived = sent(many);
    EXPECT_EQ(arrived.a1, 1);
    EXPECT_EQ(arrived.h6, 2);
    EXPECT_EQ(arrived.last, "x");
}

TEST(CodecRoundTrip, ConstantAndDefaultedMembersArrive) {
    struct Constant {
        const int number = 1;
        const std::string text = "default";
    };
    const Constant arrived = sent(Constant{7, "given"});
    EXPECT_EQ(arrived.number, 7);
    EXPECT_EQ(arrived.text, "given");
}

TEST(CodecRoundTrip, MoveOnlyValuesArrive) {
    std::vector<std::unique_ptr<std::string>> texts;
    texts.push_back(std::make_unique<std::string>("a"));
    texts.push_back(nullptr);
    const auto arrived = from_bytes<std::vector<std::unique_ptr<std::string>>>(bytes_of(texts));
    ASSERT_EQ(arrived.size(), 2U);
    EXPECT_EQ(*arrived[0], "a");
    EXPECT_EQ(arrived[1], nullptr);

    Chain chain{1, std::make_unique<Chain>(Chain{2, nullptr})};
    const auto link = from_bytes<Chain>(bytes_of(chain));
    EXPECT_EQ(link.value, 1);
    EXPECT_EQ(link.next->value, 2);
    EXPECT_EQ(link.next->next, nullptr);
}

TEST(CodecRoundTrip, ObjectsWithoutMembersArrive) {
    const auto twice = [](int x) { return 2 * x; };
    EXPECT_EQ(sent(twice)(21), 42);
    struct Tag {};
    EXPECT_EQ(sent(std::vector<Tag>(3)).size(), 3U);
}

// A class that opts in: it is no aggregate, and cannot be default constructed.
class Opaque {
public:
    explicit Opaque(int secret) : secret_(secret) {}
    bool operator==(const Opaque&) const = default;

private:
    int secret_;
    double more_ = 0.5;
};

}  // namespace

template <>
struct multiproc::bitwise<Opaque> : std::true_type {};

namespace {

TEST(CodecRoundTrip, ClassesThatOptInTravelAsTheirBytes) {
    static_assert(multiproc::is_bitwise_v<Opaque>);
    arrives(Opaque(3));
    arrives(std::vector<Opaque>(100, Opaque(4)));
    arrives(std::optional<Opaque>(5));
}

TEST(CodecRoundTrip, BlocksArriveAtEveryAlignment) {
    const std::vector<double> values(1000, 1.25);
    const std::vector<Opaque> objects(1000, Opaque(9));
    for (std::size_t shift = 0; shift != 17; ++shift) {
        multiproc::HeapBuffer out;
        for (std::size_t i = 0; i != shift; ++i) multiproc::encode(out, 'x');
        multiproc::encode(out, values, objects);
        // Read from an address that fits the message's layout, and from one that does not.
        for (const std::size_t offset : {std::size_t{0}, std::size_t{1}}) {
            std::vector<std::byte> copy(offset);
            copy.insert(copy.end(), out.bytes().begin(), out.bytes().end());
            multiproc::InputBuffer in(std::span<const std::byte>(copy).subspan(offset + shift));
            const auto [first, second] = multiproc::decode_all<std::vector<double>, std::vector<Opaque>>(in);
            EXPECT_EQ(first, values);
            EXPECT_EQ(second, objects);
            EXPECT_EQ(in.remaining(), 0U);
        }
    }
}

TEST(CodecRoundTrip, ManyValuesTravelInOneMessage) {
    multiproc::HeapBuffer out;
    multiproc::encode(out, 1, std::string("a"), sample_job());
    multiproc::encode(out, 2);
    multiproc::InputBuffer in(out.bytes());
    const auto [number, text, job] = multiproc::decode_all<int, std::string, Job>(in);
    EXPECT_EQ(number, 1);
    EXPECT_EQ(text, "a");
    EXPECT_EQ(job, sample_job());
    EXPECT_EQ(multiproc::decode<int>(in), 2);
    EXPECT_EQ(in.remaining(), 0U);
    EXPECT_EQ(multiproc::decode_all<>(in), std::tuple<>());
}

TEST(CodecRoundTrip, SmallValuesTakeNoMoreThanTheirBytes) {
    EXPECT_EQ(bytes_of(7).size(), sizeof(int));
    EXPECT_EQ(bytes_of(Point{}, 1.5, 'c').size(), sizeof(Point) + sizeof(double) + 1);
    EXPECT_EQ(bytes_of(std::string("abc")).size(), sizeof(std::uint64_t) + 3);
    EXPECT_EQ(bytes_of().size(), 0U);
}

}  // namespace
