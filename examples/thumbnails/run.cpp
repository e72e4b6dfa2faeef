#include "run.hpp"

#include <algorithm>
#include <chrono>
#include <deque>
#include <optional>
#include <system_error>

#include "interrupt.hpp"

namespace thumbnails {
namespace {

namespace mp = multiproc;

/// How often a wait looks up, to redraw the progress bar and to notice Ctrl+C.
constexpr auto glance_interval = std::chrono::milliseconds(50);

/// A worker that was stopped, or crashed, while it wrote leaves the file under its temporary name.
void remove_unfinished(const std::vector<Job>& jobs, const std::vector<bool>& made) {
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        std::error_code ignored;
        if (!made[i]) std::filesystem::remove(unfinished(jobs[i].thumbnail), ignored);
    }
}

/// The jobs that were submitted, in their order: `submit(job)` gives an AsyncResult, `finish(job, result)` waits for it
/// and does what is left to do. What either throws is that job's failure. At most `window` are under way.
template <class Submit, class Finish>
Outcome follow(mp::Pool& pool, const std::vector<Job>& jobs, std::size_t window, Progress& progress,
               FailureLog& failures, Submit submit, Finish finish) {
    const auto begin = std::chrono::steady_clock::now();
    using Result = decltype(submit(jobs.front()));
    std::deque<std::optional<Result>> results;  // from job `next` on; empty if it could not be submitted
    std::size_t submitted = 0;
    std::size_t next = 0;  // results arrive in any order and are looked at in the order of the jobs
    Outcome outcome;
    outcome.made.resize(jobs.size());
    const auto attempt = [&](const Job& job, auto step) {
        try {
            step();
            return true;
        } catch (const mp::BrokenPool&) {
            throw;  // there are no workers, so the other jobs would fail alike
        } catch (const std::exception& error) {
            // What the task threw in the worker, or mp::WorkerDied if the picture brought the worker down.
            failures.add(job, error.what(), progress);
            return false;
        }
    };

    while (next < jobs.size() && !interrupted()) {
        for (; submitted < jobs.size() && results.size() < window; ++submitted) {
            std::optional<Result>& result = results.emplace_back();
            attempt(jobs[submitted], [&] { result.emplace(submit(jobs[submitted])); });
        }
        progress.update(next);
        if (std::optional<Result>& result = results.front()) {
            if (!result->wait_for(glance_interval) || interrupted()) continue;
            outcome.made[next] = attempt(jobs[next], [&] { finish(jobs[next], *result); });
        }
        results.pop_front();
        ++next;
    }
    progress.update(next);
    outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();

    if (next < jobs.size()) {
        pool.terminate();
        pool.join();
        for (; next < submitted; ++next, results.pop_front()) {
            std::optional<Result>& result = results.front();
            if (!result || !result->ready() || !result->successful()) continue;
            outcome.made[next] = attempt(jobs[next], [&] { finish(jobs[next], *result); });
        }
    }
    remove_unfinished(jobs, outcome.made);
    outcome.made_count = static_cast<std::size_t>(std::count(outcome.made.begin(), outcome.made.end(), true));
    return outcome;
}

}  // namespace

void FailureLog::add(const Job& job, const std::string& reason, Progress& progress) {
    if (!reported_.insert(job.picture).second) return;
    progress.note("skipped " + to_text(job.picture) + ": " + reason);
}

std::vector<Job> spread(const std::vector<Job>& jobs, std::size_t count) {
    count = std::min(count, jobs.size());
    std::vector<Job> some;
    some.reserve(count);
    for (std::size_t i = 0; i < count; ++i) some.push_back(jobs[i * jobs.size() / count]);
    return some;
}

double warm_up(mp::Pool& pool, const std::vector<Job>& jobs, std::size_t count, Files files) {
    std::vector<mp::AsyncResult<double>> rehearsals;
    for (const Job& job : spread(jobs, count)) {
        if (files == Files::by_workers) {
            rehearsals.push_back(pool.apply_async(rehearse, job));
            continue;
        }
        try {
            rehearsals.push_back(pool.apply_async(rehearse_with, read_file(job.picture), job.size));
        } catch (const std::runtime_error&) {
            // A file that cannot be read is reported when its turn comes. If it was the pool, so is that.
        }
    }
    double seconds = 0;
    std::size_t survived = 0;
    for (auto& rehearsal : rehearsals) {
        while (!rehearsal.wait_for(glance_interval)) {
            if (interrupted()) return 0;
        }
        try {
            seconds += rehearsal.get();
            ++survived;
        } catch (const mp::WorkerDied&) {
            // A picture that brings its worker down is reported when its turn comes.
        }
    }
    return survived != 0 ? seconds / static_cast<double>(survived) : 0;
}

Outcome run_jobs(mp::Pool& pool, const std::vector<Job>& jobs, Files files, Progress& progress, FailureLog& failures) {
    if (files == Files::by_workers) {
        return follow(
            pool, jobs, jobs.size(), progress, failures,
            [&](const Job& job) { return pool.apply_async(make_thumbnail, job); },
            [](const Job&, const mp::AsyncResult<Size>& size) { size.get(); });
    }
    // Not more pictures in memory than keep the workers busy.
    return follow(
        pool, jobs, 2 * pool.workers() + 2, progress, failures,
        [&](const Job& job) { return pool.apply_async(make_thumbnail_of, read_file(job.picture), job.size); },
        [](const Job& job, const mp::AsyncResult<Bytes>& bytes) { write_file(job.thumbnail, bytes.get()); });
}

}  // namespace thumbnails
