// Whether anything is left behind by what is done again and again: memory, descriptors, processes.

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <iterator>
#include <ranges>
#include <stdexcept>
#include <string>

#include <multiproc/multiproc.hpp>

#include "family.hpp"
#include "json.hpp"
#include "reports.hpp"
#include "support.hpp"

namespace bench {
namespace {

constexpr int pools = 10'000;
constexpr int tasks_of_pool = 20;
constexpr int tasks = 1'000'000;
constexpr int tasks_at_once = 5'000;
constexpr std::size_t tasks_per_worker = 500;
constexpr int samples = 200;

int add_one(int x) { return x + 1; }

std::size_t open_descriptors() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all))) - 1;  // but for the one that reads them
}

/// What one run left after so many of its steps. All of it is sampled where no pool lives, or the same one rests.
class Course {
public:
    explicit Course(const char* unit) : unit_(unit) {
        std::printf("%12s %14s %14s %12s %10s\n", unit, "RSS here", "PSS of all", "descriptors", "processes");
    }

    void add(int steps) {
        const std::vector<pid_t> pids = family();
        double pss = 0;
        for (const pid_t pid : pids) pss += memory_of(pid).pss;
        steps_.push_back(steps);
        rss_.push_back(memory_of(::getpid()).rss);
        pss_.push_back(pss);
        descriptors_.push_back(static_cast<double>(open_descriptors()));
        processes_.push_back(static_cast<double>(pids.size()));
        if (rss_.size() % (samples / 10) == 1) print();
    }
    Json finish() const {
        print();
        // The first tenth is where everything is used for the first time.
        const auto settled = static_cast<std::ptrdiff_t>(rss_.size() / 10);
        std::printf("%12s %10.0f KiB   from the first tenth to the end\n\n", "growth",
                    (rss_.back() - *std::max_element(rss_.begin(), rss_.begin() + settled + 1)) / 1024);
        return Json::object({{"unit", unit_},
                             {"steps", Json::numbers(steps_)},
                             {"rss_bytes", Json::numbers(rss_)},
                             {"family_pss_bytes", Json::numbers(pss_)},
                             {"descriptors", Json::numbers(descriptors_)},
                             {"processes", Json::numbers(processes_)}});
    }

private:
    void print() const {
        std::printf("%12.0f %10.0f KiB %10.0f KiB %12.0f %10.0f\n", steps_.back(), rss_.back() / 1024,
                    pss_.back() / 1024, descriptors_.back(), processes_.back());
        std::fflush(stdout);
    }

    const char* unit_;
    std::vector<double> steps_, rss_, pss_, descriptors_, processes_;
};

void map_and_check(multiproc::Pool& pool, int count) {
    const std::vector<int> results = pool.map(add_one, std::views::iota(0, count));
    for (int i = 0; i < count; ++i)
        if (results[static_cast<std::size_t>(i)] != i + 1) throw std::runtime_error("wrong result");
}

Json make_pools(std::size_t workers) {
    Course course("pools");
    for (int i = 1; i <= pools; ++i) {
        {
            multiproc::Pool pool(workers);
            map_and_check(pool, tasks_of_pool);
        }
        if (i % (pools / samples) == 0) course.add(i);
    }
    return course.finish();
}

Json replace_workers(std::size_t workers) {
    Course course("tasks");
    multiproc::Pool pool({.workers = workers, .max_tasks_per_worker = tasks_per_worker});
    for (int i = tasks_at_once; i <= tasks; i += tasks_at_once) {
        map_and_check(pool, tasks_at_once);
        if (i % (tasks / samples) == 0) course.add(i);
    }
    return course.finish();
}

}  // namespace

void report_soak(const Settings& settings, const std::string& file) {
    std::printf("%d pools of %zu workers one after the other, %d tasks in each\n", pools, settings.workers,
                tasks_of_pool);
    const Json made = make_pools(settings.workers);
    std::printf("%d tasks in a pool of %zu workers, each of which is replaced after %zu\n", tasks, settings.workers,
                tasks_per_worker);
    const Json replaced = replace_workers(settings.workers);
    if (!file.empty()) write_json(file, "soak", Json::array({made, replaced}));
}

}  // namespace bench
