#include "ratios.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <memory>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "json.hpp"
#include "support.hpp"

namespace bench {
namespace {

constexpr unsigned most_seconds_per_row = 900;

struct Measured {
    std::vector<double> ours;  ///< seconds per operation
    std::vector<double> peer;
    std::vector<double> ratios;
};

/// Three significant digits.
std::string format(double value, const char* unit) {
    char text[64];
    std::snprintf(text, sizeof text, "%.*f %s", value < 9.995 ? 2 : value < 99.95 ? 1 : 0, value, unit);
    return text;
}

std::string format_figure(const Row& row, double seconds) {
    return row.show == Row::Show::time ? format_time(seconds) : format_rate(1 / seconds);
}

std::string format_target(const Row& row) {
    if (row.bound == Row::Bound::none) return {};
    char text[32];
    std::snprintf(text, sizeof text, "%s %g x", row.bound == Row::Bound::at_most ? "<=" : ">=", row.target);
    return text;
}

const char* bound_name(Row::Bound bound) {
    if (bound == Row::Bound::none) return "none";
    return bound == Row::Bound::at_most ? "at most" : "at least";
}

Measured measure(const Row& row, const RatioOptions& options) {
    std::vector<std::string> command{"/proc/self/exe", "--row=" + row.name};
    command.insert(command.end(), options.arguments.begin(), options.arguments.end());
    std::istringstream lines(run_program(command));
    Measured measured;
    for (double ours = 0, peer = 0; lines >> ours >> peer;) {
        measured.ours.push_back(ours);
        measured.peer.push_back(peer);
        measured.ratios.push_back(row.ratio(ours, peer));
    }
    if (measured.ratios.size() != options.pairs) throw std::runtime_error("some pairs are missing");
    return measured;
}

void print_line(const std::string& name, const std::string& ours, const std::string& peer, const std::string& ratio,
                const std::string& spread, const std::string& target, const std::string& met) {
    std::printf("%-24s %12s %12s %9s  %-15s %10s  %s\n", name.c_str(), ours.c_str(), peer.c_str(), ratio.c_str(),
                spread.c_str(), target.c_str(), met.c_str());
    std::fflush(stdout);
}

/// A measured row: printed, and as JSON.
Json report(const Row& row, const Measured& measured) {
    const double ours = median(measured.ours);
    const double peer = median(measured.peer);
    const double ratio = median(measured.ratios);
    const auto [least, most] = std::minmax_element(measured.ratios.begin(), measured.ratios.end());
    const bool is_met = row.is_met(ratio);
    char ratio_text[32];
    char spread[32];
    std::snprintf(ratio_text, sizeof ratio_text, "%.3g x", ratio);
    std::snprintf(spread, sizeof spread, "(%.3g to %.3g)", *least, *most);
    print_line(row.name, format_figure(row, ours), format_figure(row, peer), ratio_text, spread, format_target(row),
               row.bound == Row::Bound::none ? ""
               : is_met                      ? "met"
                                             : "NOT MET");
    return Json::object({{"name", row.name},
                         {"what", row.what},
                         {"peer", row.peer},
                         {"shown_as", row.show == Row::Show::time ? "time" : "rate"},
                         {"ours_seconds", ours},
                         {"peer_seconds", peer},
                         {"ours_text", format_figure(row, ours)},
                         {"peer_text", format_figure(row, peer)},
                         {"ratio", ratio},
                         {"bound", bound_name(row.bound)},
                         {"target", row.target},
                         {"met", is_met},
                         {"ours_samples", Json::numbers(measured.ours)},
                         {"peer_samples", Json::numbers(measured.peer)},
                         {"ratio_samples", Json::numbers(measured.ratios)}});
}

}  // namespace

std::string format_time(double seconds) {
    if (seconds < 1e-6) return format(seconds * 1e9, "ns");
    if (seconds < 1e-3) return format(seconds * 1e6, "us");
    if (seconds < 1) return format(seconds * 1e3, "ms");
    return format(seconds, "s");
}

std::string format_rate(double per_second) {
    if (per_second >= 1e6) return format(per_second / 1e6, "M/s");
    if (per_second >= 1e3) return format(per_second / 1e3, "k/s");
    return format(per_second, "/s");
}

int run_row(const std::vector<Row>& rows, const std::string& name, std::size_t pairs) {
    // If something hangs, the other rows are measured all the same.
    ::alarm(most_seconds_per_row);
    const auto row = std::find_if(rows.begin(), rows.end(), [&](const Row& each) { return each.name == name; });
    if (row == rows.end()) throw std::invalid_argument("no row is called " + name);
    const std::unique_ptr<Pair> pair = row->open();
    // Caches, page tables and clocks settle in a first pair that is not counted.
    pair->ours();
    pair->peer();
    for (std::size_t i = 0; i < pairs; ++i) {
        const double ours = pair->ours();
        const double peer = pair->peer();
        std::printf("%.9g %.9g\n", ours, peer);
        std::fflush(stdout);
    }
    return 0;
}

int run_ratios(const std::vector<Row>& rows, const RatioOptions& options) {
    if (options.pairs == 0) throw std::invalid_argument("--pairs must be at least 1");
    const double load = load_average();
    if (load > 0.5 * std::thread::hardware_concurrency()) {
        std::printf("This machine is busy (load %.1f): the figures mean little.\n", load);
    }
    const std::regex only(options.only);
    std::vector<Json> results;
    std::size_t missed = 0;
    std::size_t failed = 0;
    std::size_t targets = 0;
    print_line("", "ours", "peer", "ratio", "(of the pairs)", "target", "");
    for (const Row& row : rows) {
        if (!std::regex_search(row.name, only)) continue;
        try {
            const Measured measured = measure(row, options);
            results.push_back(report(row, measured));
            if (row.bound == Row::Bound::none) continue;
            ++targets;
            if (!row.is_met(median(measured.ratios))) ++missed;
        } catch (const std::exception& error) {
            print_line(row.name, "", "", "", "", format_target(row), std::string("FAILED: ") + error.what());
            results.push_back(Json::object({{"name", row.name}, {"what", row.what}, {"failed", error.what()}}));
            ++failed;
        }
    }
    if (results.empty()) throw std::invalid_argument("no row is called " + options.only);
    std::printf("%zu of %zu targets met", targets - missed, targets + failed);
    if (failed != 0) std::printf(", %zu could not be run", failed);
    std::printf("\n");
    if (!options.file.empty()) write_json(options.file, "rows", Json::array(results));
    return failed != 0 || (options.check && missed != 0) ? 1 : 0;
}

}  // namespace bench
