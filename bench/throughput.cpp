// Many tiny tasks: one by one, and by map.

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include <cstdint>
#include <future>
#include <memory>
#include <numeric>
#include <stdexcept>

#include <multiproc/multiproc.hpp>

#include "rows.hpp"
#include "support.hpp"

namespace bench {
namespace {

constexpr int task_count = 500'000;
/// Python is slower by orders of magnitude; its rate does not depend on the number.
constexpr int python_task_count = 20'000;
constexpr std::size_t item_count = 10'000'000;

int add_one(int x) { return x + 1; }
std::int64_t square(std::int64_t x) { return x * x; }

void check(std::int64_t sum) {
    if (sum != std::int64_t{task_count} * (task_count + 1) / 2) throw std::runtime_error("wrong results");
}

/// A task at a time, all handed over before the first result is asked for. The time includes giving the results up.
double submit_and_get(multiproc::Pool& pool) {
    const Stopwatch watch;
    std::int64_t sum = 0;
    {
        std::vector<multiproc::AsyncResult<int>> results;
        results.reserve(task_count);
        for (int i = 0; i < task_count; ++i) results.push_back(pool.apply_async(add_one, i));
        for (const auto& result : results) sum += result.get();
    }
    const double seconds = watch.seconds();
    check(sum);
    return seconds / task_count;
}

class AgainstAsio : public Pair {
public:
    explicit AgainstAsio(std::size_t workers) : pool_(workers), threads_(workers) {
        pool_.map(add_one, std::views::iota(0, 1000));
    }

    double ours() override { return submit_and_get(pool_); }

    double peer() override {
        const Stopwatch watch;
        std::int64_t sum = 0;
        {
            std::vector<std::future<int>> results;
            results.reserve(task_count);
            for (int i = 0; i < task_count; ++i) {
                std::packaged_task<int()> task([i] { return add_one(i); });
                results.push_back(task.get_future());
                boost::asio::post(threads_, std::move(task));
            }
            for (auto& result : results) sum += result.get();
        }
        const double seconds = watch.seconds();
        check(sum);
        return seconds / task_count;
    }

private:
    multiproc::Pool pool_;
    boost::asio::thread_pool threads_;
};

class AgainstPython : public Pair {
public:
    explicit AgainstPython(const Settings& settings)
        : pool_(settings.workers),
          command_{settings.python, (settings.peers / "apply_async.py").string(), std::to_string(settings.workers),
                   std::to_string(python_task_count)} {
        pool_.map(add_one, std::views::iota(0, 1000));
    }

    double ours() override { return submit_and_get(pool_); }
    double peer() override { return run_peer(command_); }

private:
    multiproc::Pool pool_;
    std::vector<std::string> command_;
};

class Map : public Pair {
public:
    explicit Map(std::size_t workers) : pool_(workers), arena_(static_cast<int>(workers)), items_(item_count) {
        std::iota(items_.begin(), items_.end(), 0);
        pool_.map(square, std::views::iota(0, 1000));
    }

    double ours() override {
        const Stopwatch watch;
        const std::vector<std::int64_t> results = pool_.map(square, items_);
        const double seconds = watch.seconds();
        check_last(results.back());
        return seconds / item_count;
    }

    /// The results are new memory here too, which is touched first by the threads that write it.
    double peer() override {
        const Stopwatch watch;
        const std::unique_ptr<std::int64_t[]> results(new std::int64_t[item_count]);
        arena_.execute([&] {
            oneapi::tbb::parallel_for(oneapi::tbb::blocked_range<std::size_t>(0, item_count), [&](const auto& range) {
                for (std::size_t i = range.begin(); i != range.end(); ++i) results[i] = square(items_[i]);
            });
        });
        const double seconds = watch.seconds();
        check_last(results[item_count - 1]);
        return seconds / item_count;
    }

private:
    static void check_last(std::int64_t result) {
        if (result != square(item_count - 1)) throw std::runtime_error("wrong results");
    }

    multiproc::Pool pool_;
    oneapi::tbb::task_arena arena_;
    std::vector<std::int64_t> items_;
};

}  // namespace

void add_throughput_rows(std::vector<Row>& rows, const Settings& settings) {
    rows.push_back({.name = "apply_async/asio",
                    .what = "apply_async of a tiny task and get, 500,000 of them",
                    .peer = "boost::asio::thread_pool with std::packaged_task",
                    .show = Row::Show::rate,
                    .bound = Row::Bound::at_least,
                    .target = 5,
                    .operations = task_count,
                    .open = [=] { return std::make_unique<AgainstAsio>(settings.workers); }});
    rows.push_back({.name = "apply_async/python",
                    .what = "apply_async of a tiny task and get, 500,000 of them",
                    .peer = "Python's Pool.apply_async",
                    .show = Row::Show::rate,
                    .bound = Row::Bound::at_least,
                    .target = 100,
                    .operations = task_count,
                    .open = [=] { return std::make_unique<AgainstPython>(settings); }});
    rows.push_back({.name = "map/tbb",
                    .what = "map over 10 million int64",
                    .peer = "oneTBB parallel_for writing an array",
                    .show = Row::Show::rate,
                    .bound = Row::Bound::at_least,
                    .target = 0.3,
                    .operations = item_count,
                    .open = [=] { return std::make_unique<Map>(settings.workers); }});
}

}  // namespace bench
