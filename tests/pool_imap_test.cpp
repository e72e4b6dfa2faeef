// imap and imap_unordered: results one by one, from an input that is read little by little.
#include <algorithm>
#include <chrono>
#include <climits>
#include <filesystem>
#include <iterator>
#include <list>
#include <memory>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "support/die.hpp"
#include "support/each_start_method.hpp"
#include "support/gate.hpp"

namespace {

namespace mp = multiproc;
using namespace std::chrono_literals;

class PoolImap : public mp::test::EachStartMethod {};

int twice(int number) { return 2 * number; }
std::string name_of(int number) {
    return std::string(static_cast<std::size_t>(number % 50), 'x') + std::to_string(number);
}
std::vector<int> grow(int number) { return std::vector<int>(static_cast<std::size_t>(number), number); }
void nothing(int) {}
int odd_throws(int number) {
    if (number % 2 != 0) throw std::out_of_range("odd: " + std::to_string(number));
    return number;
}
int first_passes_gate(const std::string& path, int number) {
    if (number == 0 && !mp::test::Gate::await(path)) return -1;
    return number;
}
int all_pass_gate(const std::string& path, int number) { return mp::test::Gate::await(path) ? number : -1; }
std::unique_ptr<int> boxed(int number) { return std::make_unique<int>(number); }
int mark(const std::string& folder, int number) {
    mp::test::open_gate(folder + "." + std::to_string(number));
    return number;
}

// Numbers from 0 on, whose reading can be counted and made to throw. Its iterator can be moved but not copied.
struct Numbers {
    int count = INT_MAX;
    int throw_at = INT_MAX;
    int* read = nullptr;  // how many

    class Iterator {
    public:
        using value_type = int;
        using difference_type = std::ptrdiff_t;
        using iterator_concept = std::input_iterator_tag;

        Iterator() = default;
        explicit Iterator(const Numbers* numbers) : numbers_(numbers) {}
        Iterator(Iterator&&) = default;
        Iterator& operator=(Iterator&&) = default;
        int operator*() const {
            if (at_ == numbers_->throw_at) throw std::domain_error("cannot be read");
            if (numbers_->read != nullptr) ++*numbers_->read;
            return at_;
        }
        Iterator& operator++() {
            ++at_;
            return *this;
        }
        void operator++(int) { ++*this; }
        friend bool operator==(const Iterator& it, std::default_sentinel_t) { return it.at_ == it.numbers_->count; }

    private:
        const Numbers* numbers_ = nullptr;
        int at_ = 0;
    };
    Iterator begin() const { return Iterator(this); }
    std::default_sentinel_t end() const { return {}; }
};

struct Words {
    std::istream* stream;
    std::istream_iterator<int> begin() const { return std::istream_iterator<int>(*stream); }
    std::istream_iterator<int> end() const { return {}; }
};

struct ThrowsAtOnce {
    int* begin() const { throw std::domain_error("has no begin"); }
    int* end() const { return nullptr; }
};

std::vector<int> numbers_to(int count) {
    std::vector<int> numbers(static_cast<std::size_t>(count));
    std::iota(numbers.begin(), numbers.end(), 0);
    return numbers;
}

template <class Results>
auto all_of(Results results) {
    std::vector<typename Results::Value> all;
    for (auto& result : results) all.push_back(std::move(result));
    return all;
}
template <class T>
std::vector<T> sorted(std::vector<T> values) {
    std::ranges::sort(values);
    return values;
}

static_assert(std::ranges::input_range<mp::ImapResults<int>>);
static_assert(std::ranges::input_range<mp::ImapResults<void>>);
static_assert(std::ranges::input_range<mp::ImapResults<std::unique_ptr<int>>>);
static_assert(!std::ranges::forward_range<mp::ImapResults<int>>);
static_assert(std::ranges::input_range<Numbers>);

TEST_F(PoolImap, ResultsAreThoseOfMapInTheOrderOfTheInput) {
    mp::Pool pool(3);
    for (const int count : {0, 1, 2, 31, 32, 33, 1000}) {
        const std::vector<int> input = numbers_to(count);
        for (const int chunk : {0, 1, 7, 100}) {
            EXPECT_EQ(all_of(pool.imap(twice, input, chunk)), pool.map(twice, input)) << count << " by " << chunk;
            EXPECT_EQ(all_of(pool.imap(name_of, input, chunk)), pool.map(name_of, input)) << count << " by " << chunk;
            EXPECT_EQ(sorted(all_of(pool.imap_unordered(twice, input, chunk))), pool.map(twice, input))
                << count << " by " << chunk;
            EXPECT_EQ(sorted(all_of(pool.imap_unordered(name_of, input, chunk))), sorted(pool.map(name_of, input)))
                << count << " by " << chunk;
        }
    }
    EXPECT_EQ(all_of(pool.imap(grow, numbers_to(100), 10)), pool.map(grow, numbers_to(100)));
}

TEST_F(PoolImap, ResultsThatWereMovedFromThrowAtEveryUse) {
    mp::Pool pool(1);
    auto from = pool.imap(twice, std::vector{1, 2});
    auto to = std::move(from);
    EXPECT_THROW((void)from.next(), mp::ClosedError);        // NOLINT(bugprone-use-after-move): what is promised
    EXPECT_THROW((void)from.next_for(1s), mp::ClosedError);  // NOLINT(bugprone-use-after-move)
    EXPECT_THROW((void)from.begin(), mp::ClosedError);       // NOLINT(bugprone-use-after-move)
    EXPECT_EQ(to.next(), 2);
}

TEST_F(PoolImap, NegativeChunksAreRefused) {
    mp::Pool pool(1);
    EXPECT_THROW(pool.imap(twice, numbers_to(2), -1), std::invalid_argument);
    EXPECT_THROW(pool.imap_unordered(twice, numbers_to(2), -1), std::invalid_argument);
}

TEST_F(PoolImap, EveryKindOfRangeIsTaken) {
    mp::Pool pool(2);
    const std::vector<int> expected{0, 2, 4};
    EXPECT_EQ(all_of(pool.imap(twice, std::vector<int>{0, 1, 2})), expected);
    const std::list<int> list{0, 1, 2};
    EXPECT_EQ(all_of(pool.imap(twice, list)), expected);
    int array[] = {0, 1, 2};
    EXPECT_EQ(all_of(pool.imap(twice, array)), expected);
    EXPECT_EQ(all_of(pool.imap(twice, Numbers{.count = 3})), expected);
    const Numbers numbers{.count = 3};
    EXPECT_EQ(all_of(pool.imap(twice, numbers)), expected);
    std::istringstream stream("0 1 2");
    EXPECT_EQ(all_of(pool.imap(twice, Words{&stream})), expected);
    EXPECT_EQ(all_of(pool.imap(mp::partial([](int a, int b) { return a + b; }, 1), std::vector<short>{1, 2})),
              (std::vector<int>{2, 3}));
}

TEST_F(PoolImap, OptionsHold) {
    mp::Pool pool(2);
    EXPECT_EQ(all_of(pool.with({.chunk_size = 5}).imap(twice, numbers_to(12))), pool.map(twice, numbers_to(12)));
    mp::ImapResults<int> results = pool.with({.timeout = 100ms})
                                       .imap(
                                           [](int number) {
                                               if (number == 1) std::this_thread::sleep_for(60s);
                                               return number;
                                           },
                                           numbers_to(3));
    EXPECT_EQ(results.next(), 0);
    EXPECT_THROW(results.next(), mp::TimeoutError);
    EXPECT_EQ(results.next(), 2);
    EXPECT_EQ(results.next(), std::nullopt);
}

TEST_F(PoolImap, VoidFunctionsGiveMonostate) {
    mp::Pool pool(2);
    EXPECT_EQ(all_of(pool.imap(nothing, numbers_to(50))).size(), 50u);
    EXPECT_EQ(all_of(pool.imap_unordered(nothing, numbers_to(50), 8)).size(), 50u);
    mp::ImapResults<void> results = pool.imap(nothing, numbers_to(1));
    EXPECT_EQ(results.next(), std::monostate{});
    EXPECT_EQ(results.next(), std::nullopt);
}

TEST_F(PoolImap, MoveOnlyResultsAreMovedOut) {
    mp::Pool pool(2);
    mp::ImapResults<std::unique_ptr<int>> results = pool.imap(boxed, numbers_to(3));
    EXPECT_EQ(**results.next(), 0);
    std::unique_ptr<int> second = std::move(*results.begin());
    EXPECT_EQ(*second, 1);
    EXPECT_EQ(**results.next_for(60s), 2);
    EXPECT_EQ(results.next(), std::nullopt);
    EXPECT_EQ(results.next(), std::nullopt);
    EXPECT_EQ(results.begin(), results.end());
}

TEST_F(PoolImap, ReadingGoesOnBehindWhatWasSeen) {
    mp::Pool pool(1);
    mp::ImapResults<int> results = pool.imap(twice, numbers_to(6));
    for (const int result : results) {
        EXPECT_EQ(result, 0);
        break;
    }
    EXPECT_EQ(results.next(), 2);
    auto it = results.begin();
    EXPECT_EQ(*it, 4);
    EXPECT_EQ(*it, 4);
    ++it;
    mp::ImapResults<int> moved = std::move(results);
    EXPECT_EQ(*it, 6);
    it++;
    EXPECT_EQ(moved.next(), 8);  // was not looked at yet
    EXPECT_EQ(all_of(std::move(moved)), std::vector<int>{10});
}

TEST_F(PoolImap, ErrorsComeInTheirPlaceAndReadingGoesOn) {
    mp::Pool pool(2);
    for (const int chunk : {0, 4}) {
        mp::ImapResults<int> results = pool.imap(odd_throws, numbers_to(100), chunk);
        for (int i = 0; i < 50; ++i) {
            EXPECT_EQ(results.next(), 2 * i);
            try {
                results.next();
                ADD_FAILURE();
            } catch (const std::out_of_range& error) { EXPECT_EQ(error.what(), "odd: " + std::to_string(2 * i + 1)); }
        }
        EXPECT_EQ(results.next(), std::nullopt);
    }
    mp::ImapResults<int> results = pool.imap(odd_throws, numbers_to(4));
    int errors = 0;
    int values = 0;
    for (auto it = results.begin(); it != results.end(); ++it) {
        try {
            values += *it + 1;
        } catch (const std::out_of_range&) {
            EXPECT_THROW(*it, std::out_of_range);
            ++errors;
        }
    }
    EXPECT_EQ(errors, 2);
    EXPECT_EQ(values, 1 + 3);

    mp::ImapResults<int> unordered = pool.imap_unordered(odd_throws, numbers_to(100));
    for (errors = values = 0;;) {
        try {
            if (!unordered.next()) break;
            ++values;
        } catch (const std::out_of_range&) { ++errors; }
    }
    EXPECT_EQ(errors, 50);
    EXPECT_EQ(values, 50);
}

TEST_F(PoolImap, ADeadWorkerCostsOneItem) {
    mp::Pool pool(2);
    mp::ImapResults<int> results = pool.imap(
        [](int number) {
            if (number == 5) mp::test::die(mp::test::Death::kill);
            return number;
        },
        numbers_to(20), 4);
    for (int i = 0; i < 20; ++i) {
        if (i == 5) {
            EXPECT_THROW(results.next(), mp::WorkerDied);
        } else {
            EXPECT_EQ(results.next(), i);
        }
    }
    EXPECT_EQ(results.next(), std::nullopt);
}

TEST_F(PoolImap, WhatTheInputThrowsComesBehindTheResultsOfWhatWasRead) {
    mp::Pool pool(2);
    for (const int before : {0, 1, 10, 31, 32, 33, 500}) {
        for (const int chunk : {0, 7}) {
            mp::ImapResults<int> results = pool.imap(twice, Numbers{.throw_at = before}, chunk);
            for (int i = 0; i < before; ++i) ASSERT_EQ(results.next(), 2 * i);
            EXPECT_THROW(results.next(), std::domain_error);
            EXPECT_EQ(results.next(), std::nullopt);

            mp::ImapResults<int> unordered = pool.imap_unordered(twice, Numbers{.throw_at = before}, chunk);
            int count = 0;
            EXPECT_THROW(
                for (const int result
                     : unordered) {
                    EXPECT_GE(result, 0);
                    ++count;
                },
                std::domain_error);
            EXPECT_EQ(count, before);
            EXPECT_EQ(unordered.begin(), unordered.end());
        }
    }
    mp::ImapResults<int> at_once = pool.imap(twice, ThrowsAtOnce{});
    auto it = at_once.begin();
    EXPECT_NE(it, at_once.end());
    EXPECT_THROW(*it, std::domain_error);
    EXPECT_EQ(++it, at_once.end());
    EXPECT_EQ(pool.apply(twice, 4), 8);  // the pool stays usable
}

TEST_F(PoolImap, AnInputWithoutEndIsReadNoFurtherThanTheWindow) {
    mp::Pool pool(2);
    int read = 0;
    {
        mp::ImapResults<int> results = pool.imap(twice, Numbers{.read = &read});
        EXPECT_LE(read, 32);
        for (int i = 0; i < 10'000; ++i) {
            ASSERT_EQ(results.next(), 2 * i);
            ASSERT_LE(read, i + 1 + 32);
        }
        mp::ImapResults<int> chunked = pool.imap_unordered(twice, Numbers{.read = &(read = 0)}, 50);
        for (int i = 0; i < 10'000; ++i) {
            ASSERT_TRUE(chunked.next());
            ASSERT_LE(read, i + 1 + 2 * 50 * 2);
        }
    }
    EXPECT_EQ(pool.apply(twice, 1), 2);
}

TEST_F(PoolImap, LittlePilesUpBehindASlowResult) {
    mp::Pool pool(2);
    mp::test::Gate gate;
    int read = 0;
    mp::ImapResults<int> results = pool.imap(mp::partial(first_passes_gate, gate.path()), Numbers{.read = &read});
    EXPECT_THROW(results.next_for(20ms), mp::TimeoutError);
    EXPECT_THROW(results.next_for(0s), mp::TimeoutError);
    EXPECT_THROW(results.next_for(-1s), mp::TimeoutError);
    EXPECT_LE(read, 32);
    gate.open();
    for (int i = 0; i < 100; ++i) EXPECT_EQ(results.next(), i);
}

TEST_F(PoolImap, UnorderedResultsDoNotWaitForASlowOne) {
    mp::Pool pool(2);
    mp::test::Gate gate;
    mp::ImapResults<int> results = pool.imap_unordered(mp::partial(first_passes_gate, gate.path()), numbers_to(20));
    std::vector<int> seen;
    for (int i = 1; i < 20; ++i) seen.push_back(results.next().value());
    EXPECT_EQ(std::ranges::count(seen, 0), 0);
    EXPECT_THROW(results.next_for(1ms), mp::TimeoutError);
    gate.open();
    EXPECT_EQ(results.next(), 0);
    EXPECT_EQ(results.next(), std::nullopt);
}

TEST_F(PoolImap, ResultsArriveWhileASlowInputIsRead) {
    mp::Pool pool(2);
    pool.start();
    mp::test::Gate gate;
    // The second item appears only when the first has run.
    struct Stepwise {
        const mp::test::Gate* gate;
        struct Iterator {
            using value_type = int;
            using difference_type = std::ptrdiff_t;
            const mp::test::Gate* gate = nullptr;
            int at = 0;
            int operator*() const {
                if (at == 1 && !gate->await()) throw std::domain_error("the first item was not run");
                return at;
            }
            Iterator& operator++() {
                ++at;
                std::this_thread::sleep_for(1ms);  // it is slow to read
                return *this;
            }
            void operator++(int) { ++*this; }
            bool operator==(std::default_sentinel_t) const { return at == 2; }
        };
        Iterator begin() const {
            std::this_thread::sleep_for(1ms);
            return {gate, 0};
        }
        std::default_sentinel_t end() const { return {}; }
    };
    const auto run = mp::partial(
        [](const std::string& path, int number) {
            mp::test::open_gate(path);
            return number;
        },
        gate.path());
    EXPECT_EQ(all_of(pool.imap(run, Stepwise{&gate})), (std::vector<int>{0, 1}));
}

TEST_F(PoolImap, DestroyingItEarlyCancelsWhatNoWorkerHasBegun) {
    mp::Pool pool(1);
    mp::test::Gate gate;
    mp::test::Gate begun;
    const std::string folder = mp::test::Gate().path();
    const mp::AsyncResult<int> blocker = pool.apply_async(mp::test::pass_gate, gate.path(), 1);
    { mp::ImapResults<int> results = pool.imap(mp::partial(mark, folder), numbers_to(20)); }
    const mp::AsyncResult<void> last = pool.apply_async(mp::test::open_gate, begun.path());
    gate.open();
    EXPECT_EQ(blocker.get(), 1);
    last.get();
    EXPECT_TRUE(begun.is_open());
    for (int i = 0; i < 20; ++i) EXPECT_FALSE(std::filesystem::exists(folder + "." + std::to_string(i))) << i;
    pool.close();
    pool.join();
}

TEST_F(PoolImap, AClosedPoolReadsOn) {
    mp::Pool pool(2);
    mp::ImapResults<int> results = pool.imap(twice, numbers_to(1000));
    pool.close();
    EXPECT_THROW(pool.imap(twice, numbers_to(1)), mp::ClosedError);
    EXPECT_EQ(all_of(std::move(results)).size(), 1000u);
    pool.join();
}

TEST_F(PoolImap, JoinDoesNotWaitForWhoReads) {
    mp::Pool pool(2);
    mp::ImapResults<int> many = pool.imap(twice, numbers_to(1000));
    EXPECT_EQ(many.next(), 0);
    pool.close();
    pool.join();
    int count = 1;
    EXPECT_THROW(
        for (const int result
             : many) {
            EXPECT_EQ(result, 2 * count);
            ++count;
        },
        mp::ClosedError);
    EXPECT_LE(count, 32 + 1);
    EXPECT_EQ(many.next(), std::nullopt);
}

TEST_F(PoolImap, TerminateEndsIt) {
    mp::test::Gate gate;
    auto pool = std::make_unique<mp::Pool>(2);
    mp::ImapResults<int> waiting = pool->imap(mp::partial(all_pass_gate, gate.path()), Numbers{});
    mp::ImapResults<int> idle = pool->imap(twice, Numbers{});
    EXPECT_THROW(waiting.next_for(1ms), mp::TimeoutError);
    std::thread ender([&pool] { pool.reset(); });
    EXPECT_THROW(waiting.next(), mp::ClosedError);
    EXPECT_EQ(waiting.next(), std::nullopt);
    ender.join();
    EXPECT_THROW(while (idle.next()){}, mp::ClosedError);
    EXPECT_EQ(idle.next(), std::nullopt);
    gate.open();
}

TEST_F(PoolImap, SeveralAtOnceAndFromSeveralThreads) {
    mp::Pool pool(3);
    mp::ImapResults<int> a = pool.imap(twice, Numbers{});
    mp::ImapResults<std::string> b = pool.imap(name_of, Numbers{});
    for (int i = 0; i < 200; ++i) {
        EXPECT_EQ(a.next(), 2 * i);
        EXPECT_EQ(b.next(), name_of(i));
    }
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&pool] {
            EXPECT_EQ(all_of(pool.imap(twice, numbers_to(500))).size(), 500u);
            EXPECT_EQ(all_of(pool.imap_unordered(name_of, numbers_to(500))).size(), 500u);
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(a.next(), 400);
}

TEST_F(PoolImap, LargeItemsAndResultsTravel) {
    mp::Pool pool(2);
    const auto echo = [](std::vector<double> values) { return values; };
    const std::vector<std::vector<double>> input(12, std::vector<double>(300'000, 1.5));
    int count = 0;
    for (const std::vector<double>& result : pool.imap(echo, input)) {
        EXPECT_EQ(result, input.front());
        ++count;
    }
    EXPECT_EQ(count, 12);
}

}  // namespace

// ---- results that cannot be decoded ----

namespace {

struct Picky {
    int number = 0;
    std::string text;
    template <class Archive>
    void save(Archive& archive) const {
        archive(text, number);
    }
    template <class Archive>
    void load(Archive& archive) {
        archive(text);
        if (text == "5" || text == "7") throw std::domain_error(text);
        archive(number);
    }
};
Picky make_picky(int number) { return {number, std::to_string(number)}; }

TEST_F(PoolImap, AResultThatCannotBeDecodedIsOneItemsErrorAndSpoilsNoOther) {
    for (const int workers : {0, 1, 2}) {
        mp::Pool pool(workers);
        for (const bool in_order : {true, false}) {
            const auto input = std::views::iota(0, 10);
            auto results = in_order ? pool.imap(make_picky, input, 10) : pool.imap_unordered(make_picky, input, 10);
            std::vector<int> errors;
            std::vector<int> values;
            for (int i = 0; i < 10; ++i) {
                try {
                    values.push_back(results.next().value().number);
                } catch (const std::domain_error& error) { errors.push_back(std::stoi(error.what())); }
            }
            EXPECT_FALSE(results.next());
            std::ranges::sort(values);
            std::ranges::sort(errors);
            EXPECT_EQ(values, (std::vector<int>{0, 1, 2, 3, 4, 6, 8, 9}));
            EXPECT_EQ(errors, (std::vector<int>{5, 7}));
        }
        EXPECT_THROW(pool.map(make_picky, std::views::iota(0, 10), 10), std::domain_error);
        EXPECT_EQ(pool.map(make_picky, std::views::iota(10, 20), 10).back().number, 19);
    }
}

std::string text_of_size(int size) { return std::string(static_cast<std::size_t>(size), 'r'); }

TEST_F(PoolImap, ResultsOfAllSizesInOneChunkComeBackWhole) {
    for (const int workers : {0, 1}) {
        mp::Pool pool(workers);
        const std::vector<int> sizes{0, 1,      5,      8, 9,       16, 17,        1'000, 20'000,
                                     0, 15'000, 40'000, 3, 200'000, 7,  2'000'000, 1};
        const std::vector<std::string> all = pool.map(text_of_size, sizes, 100);
        ASSERT_EQ(all.size(), sizes.size());
        for (std::size_t i = 0; i < all.size(); ++i) {
            EXPECT_EQ(all[i], text_of_size(sizes[i])) << i;
            EXPECT_EQ(pool.apply(text_of_size, sizes[i]), all[i]) << i;
        }
    }
}

}  // namespace
