// Whatever the bytes are: a value or a CodecError, no crash, and no memory beyond the message's own size.
#include <gtest/gtest.h>

#include <bitset>
#include <cstddef>
#include <deque>
#include <filesystem>
#include <forward_list>
#include <list>
#include <new>
#include <random>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "support/codec_samples.hpp"

using namespace codec_samples;

namespace {

struct Serialized {
    std::vector<std::string> texts;
    std::shared_ptr<int> number;
    bool operator==(const Serialized&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(texts, number);
    }
};

// More in memory than in the message.
struct Roomy {
    std::optional<std::array<double, 1000>> maybe;
};

using Everything =
    std::tuple<bool, Switches, std::string, std::vector<bool>, std::vector<Padded>, std::vector<std::string>,
               std::deque<Job>, std::list<std::vector<int>>, std::forward_list<Color>, std::set<std::string>,
               std::unordered_map<int, std::vector<std::string>>, std::unordered_set<std::uint8_t>,
               std::vector<std::variant<int, std::string, Job>>, std::vector<std::unique_ptr<Point>>,
               std::vector<std::shared_ptr<std::string>>, Tree, WithArrays, std::filesystem::path, std::bitset<77>,
               std::error_code, Serialized, std::vector<Roomy>, std::u32string, std::optional<std::optional<bool>>>;

template <class T>
void feed(const std::vector<std::byte>& bytes) {
    multiproc::InputBuffer in(bytes);
    try {
        const T value = multiproc::decode<T>(in);
        // What was accepted is a proper value, which can be sent on.
        multiproc::HeapBuffer out;
        multiproc::encode(out, value);
    } catch (const multiproc::CodecError& error) { EXPECT_NE(std::string(error.what()), ""); }
}

template <class Tuple>
struct FeedEach;
template <class... Ts>
struct FeedEach<std::tuple<Ts...>> {
    static void feed(const std::vector<std::byte>& bytes) { (::feed<Ts>(bytes), ...); }
};

// Lengths and indices of the formats are near these values more often than chance would have it.
std::vector<std::byte> random_bytes(std::mt19937& random) {
    std::vector<std::byte> bytes(random() % 200);
    for (std::byte& byte : bytes) {
        const auto kind = random() % 4;
        byte = static_cast<std::byte>(kind == 0 ? random() : kind == 1 ? random() % 4 : kind == 2 ? 0xFF : 0);
    }
    return bytes;
}

Everything sample() {
    Everything all{};
    std::get<1>(all) = {true, {true, false}, 'x'};
    std::get<2>(all) = "text";
    std::get<3>(all) = {true, false, true};
    std::get<4>(all).assign(40, {'a', 1.5});
    std::get<5>(all) = {"a", "bb", ""};
    std::get<6>(all) = {sample_job(), sample_job()};
    std::get<7>(all) = {{1, 2}, {}, std::vector<int>(100, 7)};
    std::get<8>(all) = {Color::red, Color::blue};
    std::get<9>(all) = {"x", "y"};
    std::get<10>(all) = {{1, {"one"}}, {2, {}}};
    std::get<11>(all) = {1, 2, 3};
    std::get<12>(all) = {1, "two", sample_job()};
    std::get<13>(all).push_back(std::make_unique<Point>(Point{1, 2}));
    std::get<13>(all).push_back(nullptr);
    const auto shared = std::make_shared<std::string>("shared");
    std::get<14>(all) = {shared, nullptr, shared};
    std::get<15>(all) = {1, {{2, {}}, {3, {{4, {}}}}}};
    std::get<16>(all).words[1] = "word";
    std::get<17>(all) = "folder/file";
    std::get<18>(all).set(70);
    std::get<19>(all) = std::make_error_code(std::errc::io_error);
    std::get<20>(all) = {{"a"}, std::make_shared<int>(4)};
    std::get<21>(all).resize(2);
    std::get<21>(all)[1].maybe.emplace();
    std::get<22>(all) = U"wide";
    std::get<23>(all) = std::optional<bool>(true);
    return all;
}

TEST(CodecHostile, RandomBytesGiveAValueOrAnError) {
    std::mt19937 random(1);
    for (int round = 0; round != 3000; ++round) FeedEach<Everything>::feed(random_bytes(random));
}

TEST(CodecHostile, AMessageCutShortIsAnErrorWhereverItIsCut) {
    const std::vector<std::byte> whole = bytes_of(sample());
    EXPECT_NO_THROW(from_bytes<Everything>(whole));
    for (std::size_t size = 0; size < whole.size(); size += size < 2000 ? 1 : 97) {
        const std::vector<std::byte> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        multiproc::InputBuffer in(cut);
        EXPECT_THROW(multiproc::decode<Everything>(in), multiproc::CodecError) << "cut at " << size;
    }
}

TEST(CodecHostile, DamagedMessagesGiveAValueOrAnError) {
    const std::vector<std::byte> whole = bytes_of(sample());
    std::mt19937 random(2);
    for (int round = 0; round != 3000; ++round) {
        std::vector<std::byte> damaged = whole;
        for (unsigned i = 0; i <= random() % 4; ++i) {
            // Most of the structure is in front: the rest is one big array.
            const std::size_t at = random() % std::min<std::size_t>(damaged.size(), 3000);
            damaged[at] = static_cast<std::byte>(random() % 2 == 0 ? random() : 0xFF);
        }
        feed<Everything>(damaged);
    }
}

template <class T>
void refuses_huge_length(std::uint64_t length) {
    const std::vector<std::byte> bytes = bytes_of(length, std::array<char, 64>{});
    multiproc::InputBuffer in(bytes);
    EXPECT_THROW(multiproc::decode<T>(in), multiproc::CodecError) << "length " << length;
}

TEST(CodecHostile, LengthsThatCannotBeTrueAreErrorsBeforeAnythingIsAllocated) {
    constexpr std::uint64_t one = 1;
    for (const std::uint64_t length : {one * 65, one << 32, one << 61, (one << 61) + 1, ~std::uint64_t{0}}) {
        refuses_huge_length<std::string>(length);
        refuses_huge_length<std::vector<double>>(length);
        refuses_huge_length<std::vector<std::string>>(length);
        refuses_huge_length<std::vector<std::monostate>>(length);
        refuses_huge_length<std::vector<std::tuple<>>>(length);
        refuses_huge_length<std::vector<std::array<int, 0>>>(length);
        refuses_huge_length<std::vector<Serialized>>(length);
        refuses_huge_length<std::deque<int>>(length);
        refuses_huge_length<std::map<int, int>>(length);
        refuses_huge_length<std::unordered_set<char>>(length);
        if (length > 8 * 64) refuses_huge_length<std::vector<bool>>(length);
    }
}

// Adds up what was ever asked for.
template <class T>
struct CountingAllocator {
    using value_type = T;
    static inline std::size_t total = 0;
    CountingAllocator() = default;
    template <class U>
    explicit CountingAllocator(const CountingAllocator<U>&) {}
    T* allocate(std::size_t count) {
        total += count * sizeof(T);
        return std::allocator<T>().allocate(count);
    }
    void deallocate(T* block, std::size_t count) { std::allocator<T>().deallocate(block, count); }
    bool operator==(const CountingAllocator&) const = default;
};

TEST(CodecHostile, APromiseOfManyBigElementsAllocatesForTheBytesThatAreThere) {
    multiproc::HeapBuffer out;
    multiproc::encode(out, std::uint64_t{100'000});
    std::memset(out.append(100'000), 0xFF, 100'000);
    multiproc::InputBuffer in(out.bytes());
    CountingAllocator<Roomy>::total = 0;
    EXPECT_THROW((multiproc::decode<std::vector<Roomy, CountingAllocator<Roomy>>>(in)), multiproc::CodecError);
    EXPECT_GT(CountingAllocator<Roomy>::total, 0U);
    EXPECT_LE(CountingAllocator<Roomy>::total, 10 * out.size());
}

TEST(CodecHostile, FlagsAndIndicesOutOfRangeAreErrors) {
    const auto byte = [](unsigned value) {
        return std::vector<std::byte>{static_cast<std::byte>(value), {}, {}, {}, {}};
    };
    EXPECT_THROW(from_bytes<bool>({std::byte{2}}), multiproc::CodecError);
    EXPECT_THROW(from_bytes<std::optional<int>>(byte(2)), multiproc::CodecError);
    EXPECT_THROW(from_bytes<std::unique_ptr<int>>(byte(255)), multiproc::CodecError);
    EXPECT_THROW((from_bytes<std::variant<int, float>>(byte(2))), multiproc::CodecError);
    EXPECT_THROW(from_bytes<Switches>({std::byte{0}, std::byte{0}, std::byte{9}, std::byte{0}}), multiproc::CodecError);
    enum class Answer : bool { no, yes };
    EXPECT_THROW(from_bytes<Answer>({std::byte{3}}), multiproc::CodecError);
    EXPECT_THROW(from_bytes<std::vector<bool>>(bytes_of(std::uint64_t{3})), multiproc::CodecError);
    std::vector<std::byte> many = bytes_of(std::vector<Switches>(50));
    many.back() = std::byte{'z'};
    EXPECT_NO_THROW(from_bytes<std::vector<Switches>>(many));
    many[many.size() - 2] = std::byte{4};
    EXPECT_THROW(from_bytes<std::vector<Switches>>(many), multiproc::CodecError);
}

TEST(CodecHostile, ErrorsSayWhatWasExpected) {
    const auto text_of = [](auto decode) -> std::string {
        try {
            decode();
        } catch (const multiproc::CodecError& error) { return error.what(); }
        return "no error";
    };
    EXPECT_NE(text_of([] { from_bytes<int>({}); }).find("expected 4 more bytes, but 0 are left"), std::string::npos);
    EXPECT_NE(text_of([] { from_bytes<std::string>(bytes_of(std::uint64_t{9})); }).find("promises 9 elements"),
              std::string::npos);
    EXPECT_NE(text_of([] { from_bytes<std::variant<int, char>>({std::byte{7}}); }).find("number 7"), std::string::npos);
}

}  // namespace
