// Much of everything at once.

#include <cstdint>
#include <cstdio>
#include <deque>
#include <numeric>
#include <ranges>
#include <stdexcept>
#include <string>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "family.hpp"
#include "json.hpp"
#include "ratios.hpp"
#include "reports.hpp"
#include "support.hpp"

namespace bench {
namespace {

constexpr std::size_t processes = 1'000;
constexpr std::size_t many_workers = 200;
constexpr std::size_t many_pools = 100;
constexpr int tasks_of_pool = 1'000;
constexpr int queued = 10'000'000;
constexpr int items = 10'000'000;
constexpr std::size_t mebibyte = std::size_t{1} << 20;
constexpr std::size_t gibibyte = std::size_t{1} << 30;
constexpr std::size_t results_bytes = 8 * gibibyte;

int add_one(int x) { return x + 1; }
int wait_for(const multiproc::Event& event, int number) {
    event.wait();
    return number;
}
int meet(const multiproc::Barrier& all_are_there, int number) {
    all_are_there.wait();
    return number;
}
std::vector<std::uint64_t> make_words(std::size_t bytes) {
    return std::vector<std::uint64_t>(bytes / sizeof(std::uint64_t), bytes);
}

double own_memory() { return memory_of(::getpid()).rss; }
double memory_of_family() {
    double pss = 0;
    for (const pid_t pid : family()) pss += memory_of(pid).pss;
    return pss;
}

class Report {
public:
    /// The time of some step until now, and what it came to by each of so many. `memory`, if given, is asked after it.
    void add(const char* what, const char* step, const Stopwatch& watch, double count, double (*measure)() = nullptr) {
        const double seconds = watch.seconds();
        const double memory = measure == nullptr ? 0 : measure();
        std::printf("%-34s %-28s %12s %14s each", what, step, format_time(seconds).c_str(),
                    format_time(seconds / count).c_str());
        if (memory != 0) std::printf(" %10.1f MiB", memory / static_cast<double>(mebibyte));
        std::printf("\n");
        std::fflush(stdout);
        lines_.push_back(Json::object(
            {{"what", what}, {"step", step}, {"seconds", seconds}, {"count", count}, {"memory_bytes", memory}}));
    }
    Json finish() const { return Json::array(lines_); }

private:
    std::vector<Json> lines_;
};

void require(bool is_right) {
    if (!is_right) throw std::runtime_error("wrong result");
}

void run_processes(Report& report) {
    constexpr const char* what = "1,000 processes at once";
    const multiproc::Event end;
    std::deque<multiproc::Process<int>> all;
    const Stopwatch start;
    for (std::size_t i = 0; i < processes; ++i) all.emplace_back(wait_for, end, static_cast<int>(i)).start();
    report.add(what, "started", start, processes, memory_of_family);
    for (auto& process : all) require(process.is_alive());
    const Stopwatch finish;
    end.set();
    for (std::size_t i = 0; i < processes; ++i) require(all[i].result() == static_cast<int>(i));
    report.add(what, "woken, results, ended", finish, processes);
}

void run_many_workers(Report& report) {
    constexpr const char* what = "a pool of 200 workers";
    const Stopwatch start;
    multiproc::Pool pool(many_workers);
    // Each holds one until all are there.
    const multiproc::Barrier all_are_there(many_workers);
    pool.map(multiproc::partial(meet, all_are_there), std::views::iota(0, static_cast<int>(many_workers)), 1);
    report.add(what, "started, all at work", start, many_workers, memory_of_family);
    constexpr int tasks = 1'000'000;
    const Stopwatch map;
    require(pool.map(add_one, std::views::iota(0, tasks)).back() == tasks);
    report.add(what, "map of 1,000,000", map, tasks);
    const Stopwatch end;
    pool.close();
    pool.join();
    report.add(what, "close, join", end, many_workers);
}

void run_many_pools(Report& report, std::size_t workers) {
    constexpr const char* what = "100 pools at once";
    const Stopwatch start;
    std::deque<multiproc::Pool> pools;
    for (std::size_t i = 0; i < many_pools; ++i) pools.emplace_back(workers);
    std::vector<multiproc::AsyncResult<std::vector<int>>> results;
    for (auto& pool : pools) results.push_back(pool.map_async(add_one, std::views::iota(0, tasks_of_pool)));
    for (auto& result : results) require(result.get().back() == tasks_of_pool);
    report.add(what, "started, a map of 1,000 in each", start, many_pools, memory_of_family);
    const Stopwatch end;
    pools.clear();
    report.add(what, "ended", end, many_pools);
}

void queue_tasks(Report& report, std::size_t workers) {
    constexpr const char* what = "10,000,000 tasks queued";
    multiproc::Pool pool(workers);
    const multiproc::Event begin;
    // The workers are busy until all are there.
    std::vector<multiproc::AsyncResult<int>> first;
    for (std::size_t i = 0; i < workers; ++i) first.push_back(pool.apply_async(wait_for, begin, 0));
    std::vector<multiproc::AsyncResult<int>> results;
    results.reserve(queued);
    const Stopwatch submit;
    for (int i = 0; i < queued; ++i) results.push_back(pool.apply_async(add_one, i));
    report.add(what, "apply_async", submit, queued, own_memory);
    const Stopwatch get;
    begin.set();
    for (int i = 0; i < queued; ++i) require(results[static_cast<std::size_t>(i)].get() == i + 1);
    report.add(what, "all results", get, queued);
}

void queue_items(Report& report) {
    constexpr const char* what = "10,000,000 items in a Queue<int>";
    const multiproc::Queue<int> queue;
    const Stopwatch put;
    for (int i = 0; i < items; ++i) queue.put(i);
    report.add(what, "put", put, items, own_memory);
    const Stopwatch get;
    for (int i = 0; i < items; ++i) require(queue.get() == i);
    report.add(what, "got", get, items);
}

void return_much(Report& report, std::size_t workers, std::size_t bytes, const char* what) {
    multiproc::Pool pool(workers);
    const Stopwatch watch;
    const std::size_t count = results_bytes / bytes;
    std::size_t received = 0;
    for (const auto& words : pool.imap(make_words, std::vector<std::size_t>(count, bytes))) {
        require(words.size() == bytes / sizeof(std::uint64_t) && words.front() == bytes && words.back() == bytes);
        received += words.size() * sizeof(std::uint64_t);
    }
    require(received == results_bytes);
    report.add(what, "made, sent, read", watch, static_cast<double>(count));
}

}  // namespace

void report_load(const Settings& settings, const std::string& file) {
    Report report;
    run_processes(report);
    run_many_workers(report);
    run_many_pools(report, settings.workers);
    queue_tasks(report, settings.workers);
    queue_items(report);
    return_much(report, settings.workers, mebibyte, "8 GiB in results of 1 MiB");
    return_much(report, settings.workers, gibibyte, "8 GiB in results of 1 GiB");
    if (!file.empty()) write_json(file, "load", report.finish());
}

}  // namespace bench
