// map, starmap and their _async forms: what comes back, in which order, and what happens when the input or a task
// throws.
#include <array>
#include <list>
#include <numeric>
#include <ranges>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"

namespace {

namespace mp = multiproc;

class PoolMap : public mp::test::EachStartMethod {};

std::string as_text(int number) { return std::to_string(number); }
std::int64_t square(std::int64_t number) { return number * number; }
int add(int left, int right) { return left + right; }
std::string repeat(const std::string& text, int times) {
    std::string all;
    for (int i = 0; i < times; ++i) all += text;
    return all;
}
std::size_t length(std::string_view text) { return text.size(); }
double sum(std::span<const double> numbers) { return std::accumulate(numbers.begin(), numbers.end(), 0.0); }
int fail_at_three_and_five(int number) {
    if (number == 3) throw std::out_of_range("three");
    if (number == 5) throw std::runtime_error("five");
    return number;
}
void do_nothing(int) {}

std::vector<std::string> texts(int count) {
    std::vector<std::string> all;
    for (int i = 0; i < count; ++i) all.push_back(as_text(i));
    return all;
}

TEST_F(PoolMap, ResultsAreInInputOrder) {
    mp::Pool pool(3);
    EXPECT_EQ(pool.map(as_text, std::views::iota(0, 1000)), texts(1000));
}

TEST_F(PoolMap, ResultsAreInInputOrderWithEveryChunkSize) {
    mp::Pool pool(2);
    for (const int chunk : {1, 2, 7, 100, 1000, 5000})
        EXPECT_EQ(pool.map(as_text, std::views::iota(0, 1000), chunk), texts(1000)) << "chunks of " << chunk;
}

TEST_F(PoolMap, ResultsEqualTheSerialOnesOfAHundredThousandItems) {
    std::vector<std::int64_t> input(100'000);
    std::iota(input.begin(), input.end(), -50'000);
    std::vector<std::int64_t> serial;
    for (const std::int64_t number : input) serial.push_back(square(number));
    mp::Pool pool(2);
    EXPECT_EQ(pool.map(square, input), serial);
    EXPECT_EQ(pool.map_async(square, input).get(), serial);
}

TEST_F(PoolMap, EmptyInputGivesEmptyInEveryForm) {
    mp::Pool pool(2);
    const std::vector<int> none;
    const std::vector<std::tuple<int, int>> no_pairs;
    EXPECT_TRUE(pool.map(as_text, none).empty());
    EXPECT_TRUE(pool.map(as_text, none, 10).empty());
    EXPECT_TRUE(pool.map_async(as_text, none).get().empty());
    EXPECT_TRUE(pool.starmap(add, no_pairs).empty());
    EXPECT_TRUE(pool.starmap_async(add, no_pairs).get().empty());
    pool.map(do_nothing, none);
}

TEST_F(PoolMap, StarmapSpreadsTuplesPairsAndArrays) {
    mp::Pool pool(2);
    EXPECT_EQ(pool.starmap(add, std::vector<std::tuple<int, int>>{{1, 2}, {3, 4}}), (std::vector<int>{3, 7}));
    EXPECT_EQ(pool.starmap(repeat, std::vector<std::pair<const char*, int>>{{"ab", 2}, {"c", 3}}),
              (std::vector<std::string>{"abab", "ccc"}));
    EXPECT_EQ(pool.starmap_async(add, std::vector<std::array<int, 2>>{{5, 6}}, 1).get(), (std::vector<int>{11}));
}

TEST_F(PoolMap, TakesAnyInputRange) {
    mp::Pool pool(2);
    const std::list<int> list{1, 2, 3};
    EXPECT_EQ(pool.map(as_text, list), (std::vector<std::string>{"1", "2", "3"}));
    auto even = list | std::views::filter([](int n) { return n % 2 == 0; });
    EXPECT_EQ(pool.map(as_text, even), (std::vector<std::string>{"2"}));
    EXPECT_EQ(pool.map(as_text, std::array{4, 5}), (std::vector<std::string>{"4", "5"}));
    const std::vector<bool> bits{true, false};
    EXPECT_EQ(pool.map([](bool bit) { return !bit; }, bits), (std::vector<bool>{false, true}));
}

TEST_F(PoolMap, ArgumentsConvertToTheParametersTypes) {
    mp::Pool pool(2);
    EXPECT_EQ(pool.map(length, std::vector<const char*>{"a", "bcd"}), (std::vector<std::size_t>{1, 3}));
    EXPECT_EQ(pool.map(square, std::vector<int>{3, -4}), (std::vector<std::int64_t>{9, 16}));
    EXPECT_DOUBLE_EQ(pool.apply(sum, std::vector<double>{1.5, 2.5}), 4.0);
    EXPECT_EQ(pool.apply(repeat, "xy", 2), "xyxy");
}

TEST_F(PoolMap, VoidFunctionsGiveNothing) {
    mp::Pool pool(2);
    pool.map(do_nothing, std::views::iota(0, 100));
    pool.apply(do_nothing, 1);
    mp::AsyncResult<void> result = pool.map_async(do_nothing, std::views::iota(0, 100));
    result.get();
    EXPECT_TRUE(result.successful());
}

TEST_F(PoolMap, PartialFillsTheFirstParameters) {
    mp::Pool pool(2);
    EXPECT_EQ(pool.map(mp::partial(add, 10), std::views::iota(0, 3)), (std::vector<int>{10, 11, 12}));
    EXPECT_EQ(pool.map(mp::partial(repeat, "z"), std::vector<int>{1, 2}), (std::vector<std::string>{"z", "zz"}));
}

TEST_F(PoolMap, ThrowsTheErrorOfTheFirstItemThatFailed) {
    mp::Pool pool(2);
    for (int round = 0; round < 20; ++round) {
        try {
            pool.map(fail_at_three_and_five, std::views::iota(0, 10), round % 4);
            FAIL() << "nothing was thrown";
        } catch (const std::out_of_range& error) { EXPECT_STREQ(error.what(), "three"); }
    }
    EXPECT_EQ(pool.map(as_text, std::views::iota(0, 10)), texts(10));
}

// ---- an input that throws ----

struct BadInput : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Numbers from 0 on, throwing where number `at` would be.
auto throwing_at(int at) {
    return std::views::iota(0, 1000) | std::views::transform([at](int number) {
               if (number == at) throw BadInput("input " + std::to_string(number));
               return number;
           });
}

TEST_F(PoolMap, ThrowsWhatReadingTheInputThrowsAndStaysUsable) {
    mp::Pool pool(2);
    for (const int at : {0, 5, 500, 999}) {
        EXPECT_THROW(pool.map(as_text, throwing_at(at)), BadInput) << "at " << at;
        EXPECT_THROW(pool.map(as_text, throwing_at(at), 10), BadInput) << "in a chunk, at " << at;
        EXPECT_THROW(pool.map_async(as_text, throwing_at(at)), BadInput) << "at " << at;
        EXPECT_EQ(pool.map(as_text, std::views::iota(0, 100)), texts(100));
    }
    pool.close();
    pool.join();
}

// ---- values that cannot be encoded or decoded ----

struct Unsendable {
    int value = 0;
    template <class Archive>
    void save(Archive& archive) const {
        if (value < 0) throw std::domain_error("this value does not travel");
        archive(value);
    }
    template <class Archive>
    void load(Archive& archive) {
        archive(value);
        if (value > 1000) throw std::length_error("this value does not arrive");
    }
};

Unsendable make_unsendable(int value) { return Unsendable{value}; }
int take(Unsendable value) { return value.value; }

TEST_F(PoolMap, ResultsThatCannotBeEncodedFailTheirTaskAndLoseNoWorker) {
    mp::Pool pool(2);
    pool.start();
    const std::vector<std::uint32_t> workers = pool.worker_pids();
    for (int round = 0; round < 20; ++round) EXPECT_THROW(pool.apply(make_unsendable, -1), std::domain_error);
    EXPECT_EQ(pool.apply(make_unsendable, 7).value, 7);
    EXPECT_EQ(pool.worker_pids(), workers);
}

TEST_F(PoolMap, ArgumentsThatCannotBeDecodedFailTheirTaskAndLoseNoWorker) {
    mp::Pool pool(2);
    pool.start();
    const std::vector<std::uint32_t> workers = pool.worker_pids();
    for (int round = 0; round < 20; ++round) EXPECT_THROW(pool.apply(take, Unsendable{2000}), std::length_error);
    // In a chunk, the neighbours of a bad item are not harmed.
    std::vector<mp::AsyncResult<int>> results;
    std::vector<Unsendable> mixed{{1}, {2000}, {3}};
    EXPECT_THROW(pool.map(take, mixed, 3), std::length_error);
    mixed[1].value = 2;
    EXPECT_EQ(pool.map(take, mixed, 3), (std::vector<int>{1, 2, 3}));
    EXPECT_EQ(pool.worker_pids(), workers);
}

TEST_F(PoolMap, ArgumentsThatCannotBeEncodedAreAnErrorInTheCaller) {
    mp::Pool pool(2);
    EXPECT_THROW(pool.apply_async(take, Unsendable{-1}), std::domain_error);
    EXPECT_EQ(pool.apply(take, Unsendable{1}), 1);
    pool.close();
    pool.join();
}

// ---- sizes ----

std::vector<std::byte> blob(std::size_t size) { return std::vector<std::byte>(size, std::byte{7}); }
std::size_t size_of(const std::vector<std::byte>& bytes) { return bytes.size(); }

TEST_F(PoolMap, MessagesOfEverySizeArriveWhole) {
    mp::Pool pool(2);
    for (const std::size_t size : {0u, 1u, 1000u, 32'000u, 33'000u, 70'000u, 300'000u, 5'000'000u}) {
        EXPECT_EQ(pool.apply(blob, size), blob(size)) << size;
        EXPECT_EQ(pool.apply(size_of, blob(size)), size);
    }
    const std::vector<std::size_t> sizes{10, 100'000, 20, 31'000, 31'000, 2'000'000, 5, 31'000};
    const std::vector<std::vector<std::byte>> blobs = pool.map(blob, sizes);
    for (std::size_t i = 0; i < sizes.size(); ++i) EXPECT_EQ(blobs[i].size(), sizes[i]);
    EXPECT_EQ(pool.map(size_of, blobs), sizes);
    EXPECT_EQ(pool.map(size_of, blobs, 8), sizes);
}

TEST_F(PoolMap, ThousandsOfBigResultsKeepNoHandleEach) {
    mp::Pool pool(2);
    const std::size_t handles = mp::test::open_handles();
    const std::vector<mp::AsyncResult<std::vector<std::byte>>> unread = [&] {
        std::vector<mp::AsyncResult<std::vector<std::byte>>> all;
        for (int i = 0; i < 300; ++i) all.push_back(pool.apply_async(blob, 1'500'000u));
        return all;
    }();
    for (const auto& result : unread) result.wait();
    EXPECT_LT(mp::test::open_handles(), handles + 100);
    const std::vector<std::vector<std::byte>> blobs = pool.map(blob, std::vector<std::size_t>(2000, 40'000));
    EXPECT_EQ(blobs.size(), 2000u);
    EXPECT_EQ(blobs.back().size(), 40'000u);
}

std::size_t add_size(const std::vector<std::byte>& fields, std::size_t size) { return fields.size() + size; }

TEST_F(PoolMap, CallablesWithFieldsOfEverySizeWork) {
    mp::Pool pool(2);
    for (const std::size_t size : {10'000u, 30'000u, 200'000u}) {
        const std::vector<std::size_t> sums = pool.map(mp::partial(add_size, blob(size)), std::views::iota(0, 50));
        for (std::size_t i = 0; i < 50; ++i) EXPECT_EQ(sums[i], size + i);
    }
}

TEST_F(PoolMap, BigResultsThatNobodyReadsDoNotHoldUpTheOthers) {
    mp::Pool pool(1);
    std::vector<mp::AsyncResult<std::vector<std::byte>>> unread;
    for (int i = 0; i < 50; ++i) unread.push_back(pool.apply_async(blob, 200'000u));
    for (int i = 0; i < 2000; ++i) unread.push_back(pool.apply_async(blob, 1'000u));
    EXPECT_EQ(pool.apply(as_text, 1), "1");
    EXPECT_EQ(unread.front().get().size(), 200'000u);
    EXPECT_EQ(unread.back().get().size(), 1'000u);
}

std::uint32_t pid_of(const std::string& item) { return item.empty() ? 0 : mp::current_process().pid; }

// Two of these do not fit one message of the ring, but were they sent together they would be one message in a segment.
TEST_F(PoolMap, ItemsOfMiddlingSizeAreSentOneByOneIfAskedTo) {
    mp::Pool pool({.workers = 2, .max_tasks_per_worker = 1});
    std::vector<std::string> input;
    for (int i = 0; i < 4; ++i) {
        input.emplace_back(10'000, 'a');
        input.emplace_back(25'000, 'b');
    }
    std::vector<std::uint32_t> pids = pool.map(pid_of, input, 1);
    std::ranges::sort(pids);
    EXPECT_EQ(std::ranges::adjacent_find(pids), pids.end()) << "a worker got two items";
}

}  // namespace
