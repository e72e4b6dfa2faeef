// What has no peer: how the cost grows, and what a pool at rest costs.
#pragma once

#include <string>
#include <vector>

#include "rows.hpp"

namespace bench {

/// Prints the time per task for growing numbers of tasks and of workers. `file`: also as JSON, unless empty.
void report_scaling(const Settings& settings, const std::string& file);

/// Prints processor time and wake-ups of all processes of resting pools over ten seconds, and the memory of each.
void report_idle(const Settings& settings, const std::string& file);

/// Prints what one operation of each row costs all processes of ours: time on a processor here and in the others, and how
/// often a thread went to sleep. This shows what the time of a row goes into.
void report_counts(const std::vector<Row>& rows, const std::string& only, const std::string& file);

/// Makes ten thousand pools one after the other, and has a million tasks run by workers that are replaced all the time;
/// prints what this leaves: memory, descriptors and processes. Throws std::runtime_error if a result is wrong.
void report_soak(const Settings& settings, const std::string& file);

/// Prints times and memory with a thousand processes at once, two hundred workers, a hundred pools, ten million tasks that
/// wait, and results of 8 GiB. Throws std::runtime_error if a result is wrong.
void report_load(const Settings& settings, const std::string& file);

}  // namespace bench
