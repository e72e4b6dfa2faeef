// What an operation costs besides time.

#include <unistd.h>

#include <cstdio>
#include <regex>
#include <set>
#include <stdexcept>

#include "family.hpp"
#include "json.hpp"
#include "ratios.hpp"
#include "reports.hpp"
#include "support.hpp"

namespace bench {
namespace {

struct Counts {
    Activity here;
    Activity others;
};

/// Processes that come and go meanwhile are not seen: those rows tell about this process and the fork server alone.
Counts counts_since(const std::vector<pid_t>& others, const Counts& before) {
    Counts counts;
    counts.here = activity_of({::getpid()}, true) - before.here;
    if (!others.empty()) counts.others = activity_of(others, true) - before.others;
    return counts;
}

std::vector<pid_t> other_processes() {
    std::vector<pid_t> pids;
    for (const pid_t pid : family()) {
        if (pid != ::getpid()) pids.push_back(pid);
    }
    return pids;
}

Json count_row(const Row& row) {
    const std::unique_ptr<Pair> pair = row.open();
    pair->ours();
    const std::vector<pid_t> others = other_processes();
    const Counts before = counts_since(others, {});
    const Stopwatch watch;
    pair->ours();
    const double seconds = watch.seconds();
    const Counts counts = counts_since(others, before);
    const double operations = row.operations;
    std::printf("%-22s %12s %12s %12s %12.3g %12.3g\n", row.name.c_str(), format_time(seconds / operations).c_str(),
                format_time(counts.here.seconds / operations).c_str(),
                format_time(counts.others.seconds / operations).c_str(), counts.here.sleeps / operations,
                counts.others.sleeps / operations);
    std::fflush(stdout);
    return Json::object({{"name", row.name},
                         {"operations", operations},
                         {"seconds", seconds / operations},
                         {"cpu_seconds_here", counts.here.seconds / operations},
                         {"cpu_seconds_others", counts.others.seconds / operations},
                         {"sleeps_here", counts.here.sleeps / operations},
                         {"sleeps_others", counts.others.sleeps / operations}});
}

}  // namespace

void report_counts(const std::vector<Row>& rows, const std::string& only, const std::string& file) {
    const std::regex wanted(only);
    std::printf("Ours, per operation\n%-22s %12s %12s %12s %12s %12s\n", "", "time", "cpu here", "cpu others",
                "sleeps here", "sleeps others");
    std::vector<Json> lines;
    for (const Row& row : rows) {
        if (std::regex_search(row.name, wanted)) lines.push_back(count_row(row));
    }
    if (lines.empty()) throw std::invalid_argument("no row is called " + only);
    if (!file.empty()) write_json(file, "counts", Json::array(lines));
}

}  // namespace bench
