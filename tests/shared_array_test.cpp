// SharedArray between processes.
#include <cstdint>
#include <map>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "support/die.hpp"
#include "support/each_start_method.hpp"
#include "support/gate.hpp"
#include "support/temporary.hpp"

namespace {

namespace mp = multiproc;
using Numbers = mp::SharedArray<std::int64_t>;

class SharedArrayTravels : public mp::test::EachStartMethod {};

void fill(Numbers numbers, std::int64_t value) { std::fill(numbers.begin(), numbers.end(), value); }
std::int64_t sum(const Numbers& numbers) { return std::accumulate(numbers.begin(), numbers.end(), std::int64_t{0}); }
Numbers counted(std::size_t size) {
    Numbers numbers(size);
    std::iota(numbers.begin(), numbers.end(), 0);
    return numbers;
}
Numbers incremented(Numbers numbers) {
    for (std::int64_t& number : numbers) ++number;
    return numbers;
}
Numbers half(const Numbers& numbers, bool first) {
    const std::size_t middle = numbers.size() / 2;
    return first ? numbers.slice(0, middle) : numbers.slice(middle, numbers.size() - middle);
}

struct Report {
    std::string name;
    std::map<std::string, Numbers> columns;
    std::optional<Numbers> extra;
};
Report report_of(const std::vector<Numbers>& inputs) {
    Report report{"sums", {}, {}};
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        Numbers column(2);
        column[0] = sum(inputs[i]);
        report.columns[std::to_string(i)] = column;
    }
    report.columns["input"] = inputs.front();
    report.extra = inputs.back().slice(0, 1);
    return report;
}

std::vector<Numbers> return_all(std::vector<Numbers> all) { return all; }
std::vector<std::int64_t> sums_of(const std::vector<Numbers>& all) {
    std::vector<std::int64_t> sums;
    for (const Numbers& numbers : all) sums.push_back(sum(numbers));
    return sums;
}
std::vector<Numbers> make_many(int count) {
    std::vector<Numbers> all;
    for (int i = 0; i < count; ++i) all.push_back(Numbers(1, i));
    return all;
}
std::vector<Numbers> slices_of(const Numbers& numbers) {
    std::vector<Numbers> all;
    for (std::size_t i = 0; i < numbers.size(); ++i) all.push_back(numbers.slice(i, 1));
    return all;
}
std::vector<Numbers> own_slices(std::size_t count) { return slices_of(counted(count)); }
bool wait_at(const std::string& gate) { return mp::test::Gate::await(gate); }

Numbers kept;
void keep(Numbers numbers) { kept = std::move(numbers); }
Numbers give_kept() { return kept; }
// Apart from what a process keeps for each place in which a thread of it has slept.
std::size_t handles_here() { return mp::test::open_handles(); }
const std::size_t kept_for_sleepers = 4 * mp::test::kept_handles_per_sleeper();
void nothing() {}

Numbers then_throw(Numbers numbers) {
    numbers[0] = 1;
    throw std::out_of_range("after the change");
}
struct ThrowsWhenWritten {
    Numbers numbers;
    template <class Archive>
    void save(Archive& archive) const {
        archive(numbers);
        throw std::runtime_error("cannot be written");
    }
    template <class Archive>
    void load(Archive& archive) {
        archive(numbers);
    }
};
ThrowsWhenWritten spoiled(Numbers numbers) { return {std::move(numbers)}; }
void change_and_die(Numbers numbers) {
    numbers[0] = 7;
    mp::test::die(mp::test::Death::kill);
}
std::int64_t sum_in_pool(Numbers numbers) {
    mp::Pool pool(2);
    const std::size_t middle = numbers.size() / 2;
    const std::vector<Numbers> parts{numbers.slice(0, middle), numbers.slice(middle, numbers.size() - middle)};
    const std::vector<std::int64_t> sums = pool.map(sum, parts);
    return sums[0] + sums[1];
}
Numbers counted_by_child(std::size_t size) {
    mp::Process process(counted, size);
    process.start();
    return process.result();
}

TEST_F(SharedArrayTravels, a_task_changes_the_elements_of_its_caller) {
    mp::Pool pool(2);
    const Numbers numbers(1'000);
    pool.apply(fill, numbers, 3);
    EXPECT_EQ(numbers[0], 3);
    EXPECT_EQ(numbers[999], 3);
    EXPECT_EQ(pool.apply(sum, numbers), 3'000);
}

TEST_F(SharedArrayTravels, workers_share_one_array_by_slices) {
    mp::Pool pool(3);
    const Numbers numbers(30'000);
    std::vector<std::tuple<Numbers, std::int64_t>> parts;
    for (std::size_t i = 0; i < 30; ++i)
        parts.emplace_back(numbers.slice(i * 1'000, 1'000), static_cast<std::int64_t>(i));
    pool.starmap(fill, parts);
    for (std::size_t i = 0; i < numbers.size(); ++i) ASSERT_EQ(numbers[i], static_cast<std::int64_t>(i / 1'000));
}

TEST_F(SharedArrayTravels, a_worker_makes_one_that_outlives_it) {
    Numbers numbers;
    {
        mp::Pool pool(1);
        numbers = pool.apply(counted, 100'000);
        const std::uint32_t worker = pool.worker_pids().at(0);
        mp::test::kill_process(worker);
    }
    ASSERT_EQ(numbers.size(), 100'000u);
    EXPECT_EQ(sum(numbers), std::int64_t{100'000} * 99'999 / 2);
}

TEST_F(SharedArrayTravels, there_and_back_it_is_the_same_memory) {
    mp::Pool pool(2);
    const Numbers numbers(1'000);
    for (int i = 0; i < 200; ++i) {
        const Numbers back = pool.apply(incremented, numbers);
        ASSERT_EQ(back.data(), numbers.data());
        ASSERT_EQ(back.size(), numbers.size());
    }
    EXPECT_EQ(numbers[0], 200);
    EXPECT_EQ(numbers[999], 200);
    EXPECT_EQ(pool.apply(half, numbers, false).data(), numbers.data() + 500);
}

TEST_F(SharedArrayTravels, inside_of_containers_and_aggregates_both_ways) {
    mp::Pool pool(2);
    const std::vector<Numbers> inputs{counted(10), counted(20), counted(30)};
    const Report report = pool.apply(report_of, inputs);
    EXPECT_EQ(report.columns.at("0")[0], 45);
    EXPECT_EQ(report.columns.at("2")[0], 435);
    EXPECT_EQ(report.columns.at("input").data(), inputs.front().data());
    EXPECT_EQ(report.extra.value().data(), inputs.back().data());
}

TEST_F(SharedArrayTravels, in_every_form_of_call) {
    mp::Pool pool(2);
    std::vector<Numbers> inputs;
    for (std::size_t i = 0; i < 100; ++i) inputs.push_back(Numbers(10, static_cast<std::int64_t>(i)));
    const std::vector<std::int64_t> sums = pool.map(sum, inputs);
    for (std::size_t i = 0; i < 100; ++i) ASSERT_EQ(sums[i], static_cast<std::int64_t>(10 * i));

    const std::vector<Numbers> mapped = pool.with({.chunk_size = 7}).map(incremented, inputs);
    for (std::size_t i = 0; i < 100; ++i) ASSERT_EQ(mapped[i].data(), inputs[i].data());
    std::size_t next = 0;
    for (const Numbers& numbers : pool.imap(incremented, inputs)) ASSERT_EQ(numbers.data(), inputs[next++].data());
    EXPECT_EQ(next, 100u);
    EXPECT_EQ(inputs[5][0], 7);

    const std::vector<Numbers> made = pool.map(counted, std::vector<std::size_t>(50, 1'000));
    for (const Numbers& numbers : made) ASSERT_EQ(numbers[999], 999);
    const Numbers bound(10, 1);
    EXPECT_EQ(pool.map(mp::partial(half, bound), std::vector<bool>(40, true)).back().data(), bound.data());

    std::vector<mp::AsyncResult<Numbers>> results;
    for (int i = 0; i < 100; ++i) results.push_back(pool.apply_async(incremented, bound));
    for (auto& result : results) ASSERT_EQ(result.get().data(), bound.data());
    EXPECT_EQ(results[3].get().data(), bound.data()) << "a result can be read again";
}

TEST_F(SharedArrayTravels, with_arguments_and_results_too_big_for_a_ring) {
    mp::Pool pool(2);
    std::vector<Numbers> many(3'000, counted(10));
    for (std::size_t i = 0; i < many.size(); i += 100) many[i] = counted(i + 1);
    const std::vector<Numbers> back = pool.apply(return_all, many);
    ASSERT_EQ(back.size(), many.size());
    for (std::size_t i = 0; i < many.size(); ++i) ASSERT_EQ(back[i].data(), many[i].data());
}

TEST_F(SharedArrayTravels, as_many_as_one_message_can_have) {
    std::vector<Numbers> different;
    for (std::int64_t i = 0; i < 900; ++i) different.push_back(Numbers(1, i));
    mp::Pool pool(2);
    const Report report = pool.apply(report_of, different);
    EXPECT_EQ(report.columns.size(), 901u);
    EXPECT_EQ(report.columns.at("899")[0], 899);
    EXPECT_EQ(pool.apply(sums_of, different).at(899), 899);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(pool.apply(return_all, different).back().data(), different.back().data());

    mp::Process process(report_of, different);
    process.start();
    process.join();
    EXPECT_EQ(process.result().columns.at("899")[0], 899);

    EXPECT_THROW((void)pool.apply(make_many, 2'000), mp::CodecError) << "more is an error, and no hang";
    mp::Process maker(make_many, 2'000);
    maker.start();
    EXPECT_THROW((void)maker.result(), mp::CodecError);
    EXPECT_EQ(pool.apply(make_many, 900).size(), 900u);
}

TEST_F(SharedArrayTravels, many_slices_of_one_array_cost_one_handle) {
    mp::Process process(slices_of, counted(1'000));
    process.start();
    process.join();
    EXPECT_EQ(process.result().at(999)[0], 999);
    mp::Process maker(own_slices, 5'000);
    maker.start();
    maker.join();
    EXPECT_EQ(maker.result().at(4'999)[0], 4'999);
    mp::Pool pool(1);
    EXPECT_EQ(pool.apply(own_slices, 5'000).at(4'999)[0], 4'999);
}

// A message must not fill the worker's queue of handles for others, nor stay there when its task is taken back.
TEST_F(SharedArrayTravels, what_was_sent_for_tasks_that_were_cancelled_is_given_back) {
    mp::Pool pool(1);
    pool.apply(nothing);
    const std::size_t here = handles_here();
    const std::size_t there = pool.apply(handles_here);
    const mp::test::TemporaryDirectory folder;
    for (int round = 0; round < 5; ++round) {
        const std::string gate = folder.file("gate" + std::to_string(round));
        const auto first = pool.apply_async(wait_at, gate);
        std::vector<mp::AsyncResult<std::int64_t>> waiting;
        for (int i = 0; i < 10; ++i) waiting.push_back(pool.apply_async(sum, counted(10)));
        for (auto& result : waiting) result.cancel();
        waiting.clear();
        mp::test::open_gate(gate);
        EXPECT_TRUE(first.get());
    }
    EXPECT_TRUE(mp::test::holds_soon([&] { return pool.apply(handles_here) <= there + kept_for_sleepers; }))
        << "the worker keeps some";
    EXPECT_TRUE(mp::test::holds_soon([&] { return handles_here() <= here + kept_for_sleepers; }))
        << "this process keeps some";
}

TEST_F(SharedArrayTravels, a_task_may_keep_it_when_its_caller_does_not) {
    mp::Pool pool(1);
    pool.apply(keep, counted(1'000));
    for (int i = 0; i < 20; ++i) pool.apply(nothing);
    EXPECT_EQ(pool.apply(give_kept)[999], 999);
    EXPECT_EQ(pool.apply(give_kept)[999], 999) << "again, though the caller dropped it";
    const Numbers again = pool.apply(give_kept);
    EXPECT_EQ(pool.apply(incremented, again)[0], 1);
    EXPECT_EQ(pool.apply(give_kept).data(), again.data());
}

TEST_F(SharedArrayTravels, what_nobody_uses_is_given_back_on_both_sides) {
    mp::Pool pool(1);
    pool.apply(nothing);
    const std::size_t here = handles_here();
    const std::size_t there = pool.apply(handles_here);
    {
        std::vector<Numbers> arrays;
        for (int i = 0; i < 40; ++i) arrays.push_back(counted(10));
        EXPECT_EQ(pool.map(sum, arrays).size(), 40u);
        EXPECT_GE(pool.apply(handles_here), there + 40);
    }
    EXPECT_TRUE(mp::test::holds_soon([&] { return pool.apply(handles_here) <= there + kept_for_sleepers; }))
        << "the worker keeps some";
    EXPECT_TRUE(mp::test::holds_soon([&] { return handles_here() <= here + kept_for_sleepers; }))
        << "this process keeps some";
}

TEST_F(SharedArrayTravels, what_nobody_uses_is_given_back_while_the_pool_is_idle) {
    mp::Pool pool(2);
    pool.apply(nothing);
    const std::size_t here = handles_here();
    for (int i = 0; i < 40; ++i) EXPECT_EQ(pool.apply(sum, counted(10)), 45);
    EXPECT_TRUE(mp::test::holds_soon([&] { return handles_here() <= here + kept_for_sleepers; }));
}

TEST_F(SharedArrayTravels, an_error_of_the_task_leaves_it_and_the_pool_usable) {
    mp::Pool pool(1);
    const Numbers numbers(10);
    EXPECT_THROW((void)pool.apply(then_throw, numbers), std::out_of_range);
    EXPECT_EQ(numbers[0], 1);
    EXPECT_THROW((void)pool.apply(spoiled, numbers), std::runtime_error);
    EXPECT_THROW((void)pool.apply(spoiled, Numbers(3)), std::runtime_error);
    EXPECT_EQ(pool.apply(incremented, numbers).data(), numbers.data());
    EXPECT_EQ(numbers[0], 2);
}

TEST_F(SharedArrayTravels, a_worker_that_dies_with_it_harms_nobody_else) {
    mp::Pool pool(2);
    const Numbers numbers(10);
    for (int i = 0; i < 5; ++i) {
        numbers[0] = 0;
        EXPECT_THROW(pool.apply(change_and_die, numbers), mp::WorkerDied);
        EXPECT_EQ(numbers[0], 7);
        EXPECT_EQ(pool.apply(incremented, numbers).data(), numbers.data());
        EXPECT_EQ(numbers[0], 8);
    }
}

TEST_F(SharedArrayTravels, cancelled_and_moved_tasks_do_not_lose_it) {
    mp::Pool pool(2);
    std::vector<Numbers> arrays;
    for (int i = 0; i < 8; ++i) arrays.push_back(Numbers(1'000, 1));
    for (int round = 0; round < 30; ++round) {
        std::vector<mp::AsyncResult<std::int64_t>> results;
        for (int i = 0; i < 40; ++i) results.push_back(pool.apply_async(sum, arrays[static_cast<std::size_t>(i % 8)]));
        for (std::size_t i = 0; i < results.size(); i += 2) results[i].cancel();
        for (std::size_t i = 1; i < results.size(); i += 2) ASSERT_EQ(results[i].get(), 1'000);
        arrays[static_cast<std::size_t>(round % 8)] = Numbers(1'000, 1);
    }
}

TEST_F(SharedArrayTravels, on_to_grandchildren_and_back) {
    mp::Process process(sum_in_pool, counted(1'000));
    process.start();
    EXPECT_EQ(process.result(), 499'500);
    mp::Process maker(counted_by_child, 1'000);
    maker.start();
    EXPECT_EQ(maker.result()[999], 999);
}

TEST_F(SharedArrayTravels, to_a_process_and_back) {
    const Numbers numbers = counted(1'000);
    mp::Process process(incremented, numbers);
    process.start();
    const Numbers back = process.result();
    EXPECT_EQ(back.data(), numbers.data());
    EXPECT_EQ(numbers[999], 1'000);
    EXPECT_EQ(process.result().data(), numbers.data());

    mp::Process maker(counted, 100);
    maker.start();
    maker.join();
    EXPECT_EQ(sum(maker.result()), 4'950);

    mp::Process thrower(then_throw, numbers);
    thrower.start();
    EXPECT_THROW((void)thrower.result(), std::out_of_range);
}

TEST_F(SharedArrayTravels, through_a_pool_without_workers) {
    mp::Pool pool({.workers = 0});
    const Numbers numbers(10);
    EXPECT_EQ(pool.apply(incremented, numbers).data(), numbers.data());
    EXPECT_EQ(pool.map(counted, std::vector<std::size_t>{5, 6}).at(1)[5], 5);
    EXPECT_EQ(numbers[0], 1);
}

TEST_F(SharedArrayTravels, as_an_argument_of_the_initializer) {
    const Numbers numbers = counted(10);
    mp::Pool pool({.workers = 2, .initializer = mp::partial(keep, numbers)});
    EXPECT_EQ(pool.apply(give_kept).data(), numbers.data());
}

TEST_F(SharedArrayTravels, larger_than_4_GiB_at_the_cost_of_the_pages_touched) {
    mp::Pool pool(1);
    const mp::SharedArray<std::byte> huge(std::size_t{5} << 30);
    huge.back() = std::byte{9};
    const auto last = pool.apply([](const mp::SharedArray<std::byte>& bytes) { return bytes.back(); }, huge);
    EXPECT_EQ(last, std::byte{9});
}

}  // namespace
