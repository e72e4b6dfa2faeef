// Pools: a worker dies, or the parent of the workers.
#include <algorithm>
#include <cstddef>
#include <numeric>
#include <string>
#include <vector>

#include "plan.hpp"
#include "support/each_start_method.hpp"

namespace multiproc::test {
namespace {

using Bytes = std::vector<std::byte>;

int twice(int number) { return 2 * number; }
Bytes make_bytes(std::size_t size) { return Bytes(size, std::byte{7}); }
std::size_t count_bytes(const Bytes& bytes) { return bytes.size(); }
int last_of(const SharedArray<int>& array) { return array[array.size() - 1]; }
SharedArray<int> make_array(int number) { return SharedArray<int>(2'000, number); }
SharedArray<int> same_array(const SharedArray<int>& array) { return array; }
RawValue<int> make_value(int number) {
    RawValue<int> value;
    *value = number;
    return value;
}
int fail(int number) { throw std::out_of_range(std::to_string(number)); }
int loaded = 0;
void load(int number) { loaded = number; }

// Calls of all kinds, which come to all that is between a pool and its workers. What a death costs is counted: each call
// gives what it should, or fails with WorkerDied.
class Round {
public:
    explicit Round(int number)
        : pool_({.workers = 2, .preload = partial(load, static_cast<int>(current_process().pid) * 100 + number)}) {}

    void run() {
        small_ones();
        big_ones();
        arrays();
        others();
        cancelled_ones();
    }
    // It works, and is whole, after a death as well.
    void finish() {
        EXPECT_TRUE(holds_soon([this] { return pool_.worker_pids().size() == pool_.workers(); }));
        for (int i = 0; i < 4; ++i) EXPECT_EQ(pool_.apply(twice, i), 2 * i);
        pool_.close();
        pool_.join();
    }
    int deaths() const { return deaths_; }
    bool is_right() const { return is_right_; }

private:
    template <class Call>
    void expect(Call call) {
        try {
            is_right_ = call() && is_right_;
        } catch (const WorkerDied&) { ++deaths_; }
    }

    void small_ones() {
        std::vector<int> input(300);
        std::iota(input.begin(), input.end(), 0);
        expect([&] {
            const std::vector<int> output = pool_.map(twice, input);
            return output.size() == 300 && output[299] == 598;
        });
        std::vector<AsyncResult<int>> results;
        for (int i = 0; i < 50; ++i) results.push_back(pool_.with({.timeout = 60s}).apply_async(twice, i));
        for (int i = 0; i < 50; ++i) expect([&] { return results[static_cast<std::size_t>(i)].get() == 2 * i; });
    }

    void big_ones() {
        // These fill the rings; those that come one by one travel in segments.
        const std::vector<std::size_t> sizes(60, 20'000);
        expect([&] {
            const std::vector<Bytes> all = pool_.map(make_bytes, sizes);
            return std::ranges::all_of(all, [](const Bytes& bytes) { return bytes.size() == 20'000; });
        });
        expect([&] {
            const std::vector<Bytes> all(60, Bytes(20'000));
            return std::ranges::all_of(pool_.map(count_bytes, all), [](std::size_t size) { return size == 20'000; });
        });
        for (int i = 0; i < 6; ++i) {
            const std::size_t size = 100'000u << i;
            expect([&] { return pool_.apply(make_bytes, size).size() == size; });
            expect([&] { return pool_.apply(count_bytes, Bytes(size)) == size; });
        }
    }

    void arrays() {
        for (int i = 0; i < 6; ++i) {
            const SharedArray<int> array(2'000, i);
            expect([&] { return pool_.apply(last_of, array) == i; });
            expect([&] { return pool_.apply(same_array, array)[5] == i; });
            expect([&] { return pool_.apply(make_array, i)[5] == i; });
        }
    }

    void others() {
        for (int i = 0; i < 6; ++i) {
            expect([&] { return *pool_.apply(make_value, i) == i; });
            expect([&] {
                try {
                    pool_.apply(fail, i);
                    return false;
                } catch (const std::out_of_range&) { return true; }
            });
        }
    }

    // Tasks that wait in the workers' rings are taken back, and those with arrays leave handles there.
    void cancelled_ones() {
        std::vector<AsyncResult<int>> results;
        const auto hold_up = [](int milliseconds) {
            std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
            return milliseconds;
        };
        for (int i = 0; i < 2; ++i) results.push_back(pool_.apply_async(hold_up, 15));
        for (int i = 0; i < 6; ++i) results.push_back(pool_.apply_async(last_of, SharedArray<int>(2'000, i)));
        for (int i = 0; i < 6; ++i) results.push_back(pool_.apply_async(twice, i));
        for (std::size_t i = results.size(); i > 2; --i) results[i - 1].cancel();
        for (AsyncResult<int>& result : results) {
            expect([&] {
                try {
                    result.get();
                } catch (const CancelledError&) {}
                return true;
            });
        }
    }

    Pool pool_;
    int deaths_ = 0;
    bool is_right_ = true;
};

void own_until_dead(Plan plan) {
    plan.begin();
    for (int i = 0; i < 30; ++i) {
        Round round(i);
        round.run();
        round.finish();
    }
}

}  // namespace

void test_works(Plan plan) {
    for (int i = 0; i < 30 && !has_died(); ++i) {
        if (i == 0) plan.begin_elsewhere();
        Round round(i);
        round.run();
        round.finish();
        EXPECT_LE(round.deaths(), has_died() ? 1 : 0) << "a death costs one task";
        EXPECT_TRUE(round.is_right());
    }
}

void test_owns_pool(Plan plan) {
    Process victim(own_until_dead, plan);
    victim.start();
    expect_dead(victim);
    // That its workers end is seen by their entries in the table, see DieHere::TearDown.
    Round round(0);
    round.run();
    round.finish();
    EXPECT_EQ(round.deaths(), 0);
    EXPECT_TRUE(round.is_right());
}

}  // namespace multiproc::test
