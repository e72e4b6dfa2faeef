#include "run.hpp"

#include <algorithm>
#include <chrono>
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

double warm_up(mp::Pool& pool, const std::vector<Job>& jobs, std::size_t count) {
    std::vector<mp::AsyncResult<double>> rehearsals;
    for (const Job& job : spread(jobs, count)) rehearsals.push_back(pool.apply_async(rehearse, job));
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

Outcome run_jobs(mp::Pool& pool, const std::vector<Job>& jobs, Progress& progress, FailureLog& failures) {
    const auto begin = std::chrono::steady_clock::now();
    std::vector<mp::AsyncResult<Size>> results;
    results.reserve(jobs.size());
    for (const Job& job : jobs) results.push_back(pool.apply_async(make_thumbnail, job));

    Outcome outcome;
    outcome.made.resize(jobs.size());
    std::size_t next = 0;  // results arrive in any order and are looked at in the order of the jobs
    while (next < jobs.size() && !interrupted()) {
        progress.update(next);
        if (!results[next].wait_for(glance_interval) || interrupted()) continue;
        try {
            results[next].get();
            outcome.made[next] = true;
        } catch (const mp::BrokenPool&) {
            throw;  // there are no workers, so the other jobs would fail alike
        } catch (const std::exception& error) {
            // What make_thumbnail threw in the worker, or mp::WorkerDied if the picture brought the worker down.
            failures.add(jobs[next], error.what(), progress);
        }
        ++next;
    }
    progress.update(next);
    outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();

    if (next < jobs.size()) {
        pool.terminate();
        pool.join();
        for (; next < jobs.size(); ++next) outcome.made[next] = results[next].ready() && results[next].successful();
    }
    remove_unfinished(jobs, outcome.made);
    outcome.made_count = static_cast<std::size_t>(std::count(outcome.made.begin(), outcome.made.end(), true));
    return outcome;
}

}  // namespace thumbnails
