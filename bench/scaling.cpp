// How the cost grows with the number of tasks and of workers.

#include <cstdio>
#include <fstream>
#include <ranges>
#include <stdexcept>

#include <multiproc/multiproc.hpp>

#include "json.hpp"
#include "ratios.hpp"
#include "reports.hpp"
#include "support.hpp"

namespace bench {
namespace {

constexpr std::size_t repetitions = 3;
constexpr int tasks_of_workers = 100'000;
/// What a result that nobody has asked for yet may take; with more tasks than memory for it they are left out.
constexpr double bytes_per_result = 400;

int add_one(int x) { return x + 1; }
void nothing() {}

double available_memory() {
    std::ifstream file("/proc/meminfo");
    double kibibytes = 0;
    for (std::string name, unit; file >> name >> kibibytes; std::getline(file, unit)) {
        if (name == "MemAvailable:") return kibibytes * 1024;
    }
    return 0;
}

double time_of_apply_async(multiproc::Pool& pool, int tasks) {
    const Stopwatch watch;
    {
        std::vector<multiproc::AsyncResult<int>> results;
        results.reserve(static_cast<std::size_t>(tasks));
        for (int i = 0; i < tasks; ++i) results.push_back(pool.apply_async(add_one, i));
        for (const auto& result : results) {
            if (result.get() == 0) throw std::runtime_error("wrong result");
        }
    }
    return watch.seconds();
}

double time_of_map(multiproc::Pool& pool, int tasks) {
    const Stopwatch watch;
    const std::vector<int> results = pool.map(add_one, std::views::iota(0, tasks));
    if (results.back() != tasks) throw std::runtime_error("wrong result");
    return watch.seconds();
}

Json scale_tasks(const Settings& settings) {
    std::printf("%zu workers, time per task\n%12s %14s %14s\n", settings.workers, "tasks", "apply_async", "map");
    multiproc::Pool pool(settings.workers);
    time_of_map(pool, 1000);
    std::vector<Json> lines;
    for (int tasks = 1000; tasks <= 10'000'000; tasks *= 10) {
        const std::size_t count = tasks < 1'000'000 ? 2 * repetitions + 1 : repetitions;
        const double map = median_of(count, [&] { return time_of_map(pool, tasks); }) / tasks;
        double apply = 0;
        if (tasks * bytes_per_result < available_memory()) {
            apply = median_of(count, [&] { return time_of_apply_async(pool, tasks); }) / tasks;
        }
        std::printf("%12d %14s %14s\n", tasks, apply > 0 ? format_time(apply).c_str() : "lacks memory",
                    format_time(map).c_str());
        std::fflush(stdout);
        lines.push_back(Json::object({{"tasks", tasks}, {"apply_async_seconds", apply}, {"map_seconds", map}}));
    }
    return Json::array(lines);
}

struct WorkersCost {
    double start = 0;  ///< until the first result
    double task = 0;
    double end = 0;
};

WorkersCost measure_workers(std::size_t workers) {
    WorkersCost cost;
    const Stopwatch start;
    multiproc::Pool pool(workers);
    pool.apply(nothing);
    cost.start = start.seconds();
    // All have arrived when each of them has had a chance to take something.
    time_of_apply_async(pool, tasks_of_workers / 10);
    cost.task = median_of(repetitions, [&] { return time_of_apply_async(pool, tasks_of_workers); }) / tasks_of_workers;
    const Stopwatch end;
    pool.close();
    pool.join();
    cost.end = end.seconds();
    return cost;
}

Json scale_workers() {
    std::printf("\n%d tasks by apply_async\n%12s %14s %14s %14s %14s\n", tasks_of_workers, "workers", "first result",
                "per worker", "time per task", "close, join");
    measure_workers(1);
    std::vector<Json> lines;
    for (std::size_t workers = 1; workers <= 64; workers *= 2) {
        std::vector<double> start, task, end;
        for (std::size_t i = 0; i < repetitions; ++i) {
            const WorkersCost cost = measure_workers(workers);
            start.push_back(cost.start);
            task.push_back(cost.task);
            end.push_back(cost.end);
        }
        const double first = median(start);
        std::printf("%12zu %14s %14s %14s %14s\n", workers, format_time(first).c_str(),
                    format_time(first / static_cast<double>(workers)).c_str(), format_time(median(task)).c_str(),
                    format_time(median(end)).c_str());
        std::fflush(stdout);
        lines.push_back(Json::object({{"workers", workers},
                                      {"first_result_seconds", first},
                                      {"task_seconds", median(task)},
                                      {"end_seconds", median(end)}}));
    }
    return Json::array(lines);
}

}  // namespace

void report_scaling(const Settings& settings, const std::string& file) {
    const Json tasks = scale_tasks(settings);
    const Json workers = scale_workers();
    if (!file.empty()) write_json(file, "scaling", Json::object({{"tasks", tasks}, {"workers", workers}}));
}

}  // namespace bench
