// What a pool at rest costs.

#include <cstdio>
#include <ranges>
#include <string>
#include <thread>

#include <multiproc/multiproc.hpp>

#include "family.hpp"
#include "json.hpp"
#include "reports.hpp"
#include "support.hpp"

namespace bench {
namespace {

constexpr auto settling = std::chrono::seconds(1);
constexpr auto watched = std::chrono::seconds(10);

int add_one(int x) { return x + 1; }

Json measure_idle(std::size_t workers) {
    multiproc::Pool pool(workers);
    pool.map(add_one, std::views::iota(0, 100'000));
    std::this_thread::sleep_for(settling);

    const std::vector<pid_t> pids = family();
    // The calling thread only looks on.
    const Activity before = activity_of(pids, false);
    std::this_thread::sleep_for(watched);
    const Activity used = activity_of(pids, false) - before;

    std::vector<double> rss, pss, own;
    for (const std::uint32_t pid : pool.worker_pids()) {
        const Memory memory = memory_of(static_cast<pid_t>(pid));
        rss.push_back(memory.rss);
        pss.push_back(memory.pss);
        own.push_back(memory.own);
    }
    constexpr double kibibyte = 1024;
    std::printf("%8zu %10zu %13.3f ms %10.0f %10.0f KiB %10.0f KiB %10.0f KiB\n", workers, pids.size(),
                used.seconds * 1e3, used.wake_ups, median(rss) / kibibyte, median(pss) / kibibyte,
                median(own) / kibibyte);
    std::fflush(stdout);
    return Json::object({{"workers", workers},
                         {"processes", pids.size()},
                         {"cpu_seconds", used.seconds},
                         {"wake_ups", used.wake_ups},
                         {"worker_rss_bytes", median(rss)},
                         {"worker_pss_bytes", median(pss)},
                         {"worker_private_bytes", median(own)}});
}

}  // namespace

void report_idle(const Settings& settings, const std::string& file) {
    std::printf("A pool at rest, over %d s, all its processes; memory per worker\n", static_cast<int>(watched.count()));
    std::printf("%8s %10s %16s %10s %14s %14s %14s\n", "workers", "processes", "processor time", "wake-ups", "RSS",
                "PSS", "private");
    std::vector<Json> lines;
    for (const std::size_t workers : {settings.workers, std::size_t{16}}) lines.push_back(measure_idle(workers));
    if (!file.empty()) write_json(file, "idle", Json::array(lines));
}

}  // namespace bench
