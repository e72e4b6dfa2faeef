// The work of examples/thumbnails: by its own code in a Pool, by bare forks, and by Python.
#include "thumbnail.hpp"

#include <algorithm>
#include <atomic>
#include <memory>
#include <stdexcept>

#include <multiproc/multiproc.hpp>

#include "jobs.hpp"
#include "rows.hpp"
#include "support.hpp"

namespace bench {
namespace {

using thumbnails::Job;

constexpr int thumbnail_size = 128;
constexpr std::size_t rehearsals_per_worker = 8;

class Thumbnails : public Pair {
public:
    explicit Thumbnails(const Settings& settings)
        : settings_(settings),
          pool_(settings.workers),
          jobs_(thumbnails::make_jobs(thumbnails::find_pictures(settings.pictures, output_.path()), settings.thumbnails,
                                      output_.path(), thumbnail_size)) {
        const auto rehearsals =
            static_cast<std::ptrdiff_t>(std::min(jobs_.size(), rehearsals_per_worker * settings.workers));
        pool_.map(thumbnails::rehearse, std::vector<Job>(jobs_.begin(), jobs_.begin() + rehearsals), 1);
    }

    /// As the example does it: a task each.
    double ours() override {
        const Stopwatch watch;
        std::vector<multiproc::AsyncResult<thumbnails::Size>> results;
        results.reserve(jobs_.size());
        for (const Job& job : jobs_) results.push_back(pool_.apply_async(thumbnails::make_thumbnail, job));
        for (const auto& result : results) result.get();
        return watch.seconds() / static_cast<double>(jobs_.size());
    }

protected:
    const Settings settings_;
    TemporaryDirectory output_;
    multiproc::Pool pool_;
    std::vector<Job> jobs_;
};

/// Forks that take the next picture by a counter in shared memory: nothing is handed over, so nothing is quicker.
class AgainstForks : public Thumbnails {
public:
    using Thumbnails::Thumbnails;

    double peer() override {
        Shared<std::atomic<std::size_t>> next;
        const Stopwatch watch;
        std::vector<Child> children;
        for (std::size_t i = 0; i < settings_.workers; ++i) {
            children.emplace_back([&] {
                try {
                    for (std::size_t job = 0; (job = next->fetch_add(1)) < jobs_.size();) {
                        thumbnails::make_thumbnail(jobs_[job]);
                    }
                } catch (const std::exception&) { ::_exit(1); }
            });
        }
        for (Child& child : children) {
            if (child.join() != 0) throw std::runtime_error("a bare fork failed");
        }
        return watch.seconds() / static_cast<double>(jobs_.size());
    }
};

class AgainstPython : public Thumbnails {
public:
    using Thumbnails::Thumbnails;

    double peer() override {
        return run_peer({settings_.python, (settings_.peers / "thumbnails.py").string(),
                         std::to_string(settings_.workers), std::to_string(jobs_.size()),
                         std::to_string(thumbnail_size), settings_.pictures.string(), output_.path().string()});
    }
};

}  // namespace

void add_thumbnail_rows(std::vector<Row>& rows, const Settings& settings) {
    rows.push_back({.name = "thumbnails/forks",
                    .what = "thumbnails of photographs, as scripts/demo makes them",
                    .peer = "bare forks that do the same work",
                    .show = Row::Show::rate,
                    .bound = Row::Bound::at_least,
                    .target = 0.95,
                    .operations = static_cast<double>(settings.thumbnails),
                    .open = [=] { return std::make_unique<AgainstForks>(settings); }});
    rows.push_back({.name = "thumbnails/python",
                    .what = "thumbnails of photographs, as scripts/demo makes them",
                    .peer = "Python's Pool.map with Pillow",
                    .show = Row::Show::rate,
                    .bound = Row::Bound::at_least,
                    .target = 1.3,
                    .operations = static_cast<double>(settings.thumbnails),
                    .open = [=] { return std::make_unique<AgainstPython>(settings); }});
}

}  // namespace bench
