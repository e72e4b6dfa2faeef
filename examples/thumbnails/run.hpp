// Hands the jobs to a pool of processes and follows them: the part of the program that this library is for.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "progress.hpp"
#include "thumbnail.hpp"

namespace thumbnails {

/// Who opens them.
enum class Files {
    by_workers,  ///< a job is two paths
    by_parent,   ///< a job is the bytes of a picture, and its result those of the thumbnail: the pool can be sandboxed
};

/// What came of a list of jobs.
struct Outcome {
    std::vector<bool> made;  ///< for each job, whether its thumbnail is there
    std::size_t made_count = 0;
    double seconds = 0;
};

/// Reports broken pictures on stderr, each of them once though many jobs may need it.
class FailureLog {
public:
    void add(const Job& job, const std::string& reason, Progress& progress);

private:
    std::set<std::filesystem::path> reported_;
};

/// Gets every worker of the pool going with up to `count` of the jobs, and waits for it: what is timed afterwards is
/// work, not the start of processes. Returns the seconds that one job took, or 0 if the user interrupted.
double warm_up(multiproc::Pool& pool, const std::vector<Job>& jobs, std::size_t count, Files files);

/// Makes the thumbnails. A job that fails is reported and the others go on. If the user interrupts, the pool is
/// terminated and the outcome tells what was done until then. Never leaves half a file.
/// Throws multiproc::BrokenPool if no worker can be started.
Outcome run_jobs(multiproc::Pool& pool, const std::vector<Job>& jobs, Files files, Progress& progress,
                 FailureLog& failures);

/// `count` of the jobs, evenly spread.
std::vector<Job> spread(const std::vector<Job>& jobs, std::size_t count);

}  // namespace thumbnails
