// Measures multiproc against the best that the system, or another library, does with the same work.

#include <benchmark/benchmark.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "ratios.hpp"
#include "reports.hpp"
#include "rows.hpp"
#include "start.hpp"

namespace bench {
namespace {

constexpr const char* usage = R"(usage: multiproc_bench MODE [OPTION...]

modes
  --ratios[=FILE]    ours and the peers' figures in pairs, as a table and as JSON in FILE
  --scaling[=FILE]   the time per task for 10^3 to 10^7 tasks and for 1 to 64 workers
  --idle[=FILE]      processor time and memory of a pool at rest
  --counts[=FILE]    processor time and sleeps per operation, here and in the workers, for each row
  --soak[=FILE]      what ten thousand pools and a million tasks leave behind
  --load[=FILE]      times and memory with much of everything at once
  --list             the names of the rows
  none of these      each side by itself as a case of Google Benchmark, with its options (--benchmark_filter=...)

options
  --only=REGEX       the rows whose names match
  --pairs=N          how many pairs of each row (7)
  --check            a target that is not met is an error
  --workers=N        workers of pools and threads of the peers that have threads (2)
  --pictures=DIR     photographs for the thumbnails
  --count=N          how many thumbnails (600)
  --python=PROGRAM   the Python to compare with (python3)
)";

std::size_t parse_count(std::string_view text) {
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value == 0) {
        throw std::invalid_argument("not a number: " + std::string(text));
    }
    return value;
}

struct Options {
    enum class Mode { google, ratios, row, scaling, idle, counts, soak, load, list, help };
    Mode mode = Mode::google;
    Settings settings = {.pictures = MULTIPROC_BENCH_PICTURES, .peers = MULTIPROC_BENCH_PEERS};
    RatioOptions ratios;
    std::vector<char*> rest;  ///< what Google Benchmark gets
};

Options parse_options(int argc, char** argv) {
    using Mode = Options::Mode;
    Options options;
    options.rest.push_back(argv[0]);
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument = argv[i];
        const std::size_t equals = argument.find('=');
        const std::string_view name = argument.substr(0, equals);
        const std::string value(equals == std::string_view::npos ? "" : argument.substr(equals + 1));
        const auto choose = [&](Mode mode) {
            options.mode = mode;
            options.ratios.file = value;
        };
        const bool is_mode = name == "--ratios" || name == "--row";
        if (!is_mode) options.ratios.arguments.emplace_back(argument);
        if (name == "--row")
            choose(Mode::row);
        else if (name == "--ratios")
            choose(Mode::ratios);
        else if (name == "--scaling")
            choose(Mode::scaling);
        else if (name == "--idle")
            choose(Mode::idle);
        else if (name == "--counts")
            choose(Mode::counts);
        else if (name == "--soak")
            choose(Mode::soak);
        else if (name == "--load")
            choose(Mode::load);
        else if (name == "--list")
            choose(Mode::list);
        else if (name == "--help" || name == "-h")
            choose(Mode::help);
        else if (name == "--only")
            options.ratios.only = value;
        else if (name == "--pairs")
            options.ratios.pairs = parse_count(value);
        else if (name == "--check")
            options.ratios.check = true;
        else if (name == "--workers")
            options.settings.workers = parse_count(value);
        else if (name == "--pictures")
            options.settings.pictures = value;
        else if (name == "--count")
            options.settings.thumbnails = parse_count(value);
        else if (name == "--python")
            options.settings.python = value;
        else
            options.rest.push_back(argv[i]);
    }
    if (options.mode != Mode::google && options.rest.size() > 1) {
        throw std::invalid_argument(std::string("unknown option: ") + options.rest[1]);
    }
    return options;
}

/// The side of a row that Google Benchmark runs now. A pair is kept for both of its sides, as some are slow to set up.
class OpenPair {
public:
    Pair& get(const Row& row) {
        if (name_ != row.name) {
            pair_.reset();
            pair_ = row.open();
            name_ = row.name;
        }
        return *pair_;
    }

private:
    std::string name_;
    std::unique_ptr<Pair> pair_;
};

int run_google_benchmark(const std::vector<Row>& rows, std::vector<char*> arguments) {
    OpenPair open;
    for (const Row& row : rows) {
        for (double (Pair::*const side)() : {&Pair::ours, &Pair::peer}) {
            const std::string name = row.name + (side == &Pair::ours ? "/ours" : "/peer");
            benchmark::RegisterBenchmark(name.c_str(),
                                         [&open, &row, side](benchmark::State& state) {
                                             try {
                                                 Pair& pair = open.get(row);
                                                 for (auto _ : state) state.SetIterationTime((pair.*side)());
                                             } catch (const std::exception& error) {
                                                 state.SkipWithError(error.what());
                                             }
                                         })
                ->UseManualTime()
                ->Iterations(7);
        }
    }
    int count = static_cast<int>(arguments.size());
    arguments.push_back(nullptr);
    benchmark::Initialize(&count, arguments.data());
    if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 2;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}

int run(const Options& options) {
    const std::vector<Row> rows = make_rows(options.settings);
    switch (options.mode) {
        case Options::Mode::google: return run_google_benchmark(rows, options.rest);
        case Options::Mode::ratios: return run_ratios(rows, options.ratios);
        case Options::Mode::row: return run_row(rows, options.ratios.file, options.ratios.pairs);
        case Options::Mode::scaling: report_scaling(options.settings, options.ratios.file); return 0;
        case Options::Mode::idle: report_idle(options.settings, options.ratios.file); return 0;
        case Options::Mode::counts: report_counts(rows, options.ratios.only, options.ratios.file); return 0;
        case Options::Mode::soak: report_soak(options.settings, options.ratios.file); return 0;
        case Options::Mode::load: report_load(options.settings, options.ratios.file); return 0;
        case Options::Mode::list:
            for (const Row& row : rows)
                std::printf("%-22s %s / %s\n", row.name.c_str(), row.what.c_str(), row.peer.c_str());
            return 0;
        case Options::Mode::help: std::printf("%s", usage); return 0;
    }
    return 2;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
    if (std::getenv(bench::do_nothing_variable) != nullptr) ::_exit(0);
    multiproc::freeze_support();
    try {
        return bench::run(bench::parse_options(argc, argv));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "multiproc_bench: %s\n", error.what());
        return 2;
    }
}
