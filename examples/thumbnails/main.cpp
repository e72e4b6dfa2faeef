// Makes thumbnails of a folder of photographs, in several processes at once.
//
// The pictures are decoded, shrunk and encoded by the workers of a multiproc::Pool. A picture that crashes its decoder
// costs one thumbnail, not the program. Read run.cpp for the pool, thumbnail.cpp for the task that it runs.

#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "contact_sheet.hpp"
#include "interrupt.hpp"
#include "jobs.hpp"
#include "options.hpp"
#include "run.hpp"
#include "terminal.hpp"

namespace thumbnails {
namespace {

namespace fs = std::filesystem;
namespace mp = multiproc;

constexpr int exit_nothing_made = 1;
constexpr int exit_wrong_usage = 2;
constexpr int exit_interrupted = 128 + 2;  // as a shell reports a program that SIGINT ended

constexpr std::size_t warm_up_jobs = 16;
constexpr double baseline_seconds = 1.5;
constexpr std::size_t most_on_sheet = 100;

/// "1 picture", "2 pictures"
std::string count_of(std::size_t count, const std::string& noun) {
    return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

/// Enough jobs to keep one worker busy for about `baseline_seconds`. Whole rounds through the pictures if one round is
/// not much longer than that, so that the mix is that of all the jobs; else a sample of them.
std::vector<Job> choose_baseline(const std::vector<Job>& jobs, std::size_t pictures, double seconds_per_job) {
    const double affordable = baseline_seconds / std::max(seconds_per_job, 1e-6);
    if (affordable >= static_cast<double>(jobs.size())) return jobs;
    const std::size_t rounds = static_cast<std::size_t>(affordable) / pictures;
    const bool is_one_affordable = static_cast<double>(pictures) < 4 * affordable;
    if (rounds == 0 && !is_one_affordable) return spread(jobs, static_cast<std::size_t>(affordable) + 1);
    const std::size_t count = std::min(std::max<std::size_t>(rounds, 1) * pictures, jobs.size());
    return {jobs.begin(), jobs.begin() + static_cast<std::ptrdiff_t>(count)};
}

mp::Pool make_pool(const Options& options, std::size_t workers) {
    return mp::Pool({.workers = workers,
                     .start_method = options.start_method,
                     .sandbox = options.is_sandboxed ? mp::Sandbox::compute : mp::Sandbox::none});
}

Files files_of(const Options& options) { return options.is_sandboxed ? Files::by_parent : Files::by_workers; }

/// What one worker does on its own, which is what several are compared with.
Outcome run_baseline(const Options& options, const std::vector<Job>& jobs, std::size_t pictures, FailureLog& failures) {
    mp::Pool pool = make_pool(options, 1);
    const double seconds_per_job = warm_up(pool, jobs, warm_up_jobs, files_of(options));
    const std::vector<Job> chosen =
        options.baseline == Baseline::all ? jobs : choose_baseline(jobs, pictures, seconds_per_job);
    Progress progress("one worker", chosen.size(), 1);
    return run_jobs(pool, chosen, files_of(options), progress, failures);
}

Outcome run_all(const Options& options, const std::vector<Job>& jobs, FailureLog& failures) {
    mp::Pool pool = make_pool(options, options.workers);
    warm_up(pool, jobs, std::max(warm_up_jobs, 2 * options.workers), files_of(options));
    Progress progress(count_of(options.workers, "worker"), jobs.size());
    return run_jobs(pool, jobs, files_of(options), progress, failures);
}

/// Writes one picture that shows the thumbnails that were made, each picture once.
fs::path write_contact_sheet(const Options& options, const std::vector<Job>& jobs, const Outcome& outcome,
                             std::size_t pictures) {
    std::vector<Job> made;
    for (std::size_t i = 0; i < std::min(pictures, jobs.size()); ++i) {
        if (outcome.made[i]) made.push_back(jobs[i]);
    }
    std::vector<Image> images;
    for (const Job& job : spread(made, most_on_sheet)) {
        images.push_back(decode(read_file(job.thumbnail), options.size));
    }
    const fs::path path = options.output / "contact-sheet.png";
    write_file(path, encode_png(make_contact_sheet(images)));
    return path;
}

int report_interrupt(const Outcome& outcome, std::size_t wanted) {
    std::printf("interrupted: %zu of %s made\n", outcome.made_count, count_of(wanted, "thumbnail").c_str());
    return exit_interrupted;
}

int run(const Options& options) {
    const std::vector<fs::path> pictures = find_pictures(options.folder, options.output);
    const std::size_t count = options.count != 0 ? options.count : pictures.size();
    const std::vector<Job> jobs = make_jobs(pictures, count, options.output, options.size);
    fs::create_directories(options.output);
    std::printf("%s in %s, %s to make\n", count_of(pictures.size(), "picture").c_str(), to_text(options.folder).c_str(),
                count_of(count, "thumbnail").c_str());
    std::fflush(stdout);

    watch_for_interrupt();
    FailureLog failures;
    Outcome baseline;
    if (options.baseline != Baseline::none) {
        baseline = run_baseline(options, jobs, pictures.size(), failures);
        if (interrupted()) return report_interrupt(baseline, count);
    }
    const Outcome outcome = run_all(options, jobs, failures);
    if (interrupted()) return report_interrupt(outcome, count);
    if (outcome.made_count == 0) {
        std::fprintf(stderr, "thumbnails: none of the pictures could be read\n");
        return exit_nothing_made;
    }

    const fs::path sheet = write_contact_sheet(options, jobs, outcome, pictures.size());
    std::printf("thumbnails:    %s\n", to_text(options.output).c_str());
    std::printf("contact sheet: %s\n", to_text(sheet).c_str());
    std::printf("%s, %s, %.2f s, %s", count_of(count, "picture").c_str(),
                count_of(count - outcome.made_count, "failure").c_str(), outcome.seconds,
                count_of(options.workers, "worker").c_str());
    if (options.baseline != Baseline::none) {
        const double one_worker = static_cast<double>(baseline.made.size()) / baseline.seconds;
        const double all_workers = static_cast<double>(count) / outcome.seconds;
        std::printf(", %.2f x one worker", all_workers / one_worker);
    }
    std::printf("\n");
    return 0;
}

}  // namespace
}  // namespace thumbnails

int main(int argc, char** argv) {
    multiproc::freeze_support();  // a worker enters here too, and does not come back

    using namespace thumbnails;
    prepare_terminal();
    try {
        const Options options = parse_options(arguments(argc, argv));
        if (options.help) {
            std::printf("%s", usage);
            return 0;
        }
        return run(options);
    } catch (const UsageError& error) {
        std::fprintf(stderr, "thumbnails: %s\nTry 'thumbnails --help'.\n", error.what());
        return exit_wrong_usage;
    } catch (const std::invalid_argument& error) {
        std::fprintf(stderr, "thumbnails: %s\n", error.what());
        return exit_wrong_usage;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "thumbnails: %s\n", error.what());
        return exit_nothing_made;
    }
}
