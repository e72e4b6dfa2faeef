// Runs the rows in pairs and prints the table.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "rows.hpp"

namespace bench {

struct RatioOptions {
    std::string only = {};                    ///< a regular expression that the names of the rows must match
    std::size_t pairs = 7;                    ///< measurements of each side
    std::string file = {};                    ///< where the results are written as JSON; empty: nowhere
    bool check = false;                       ///< whether a target that is not met is an error
    std::vector<std::string> arguments = {};  ///< of this program, for the processes that measure the rows
};

/// Measures each row: ours, the peer's, ours, the peer's, and so on, so that both meet the same machine. A figure is
/// the median of its side, the ratio is the median of the pairs' ratios. Each row has a process of its own: what one leaves behind in
/// the heap would make the forks of the next slower. Prints the table row by row. Returns the exit
/// status: 1 if a row could not be run, or with `check` if a target was missed.
int run_ratios(const std::vector<Row>& rows, const RatioOptions& options);

/// Measures one row in this process and prints the pairs. This is what `run_ratios` starts for each row.
int run_row(const std::vector<Row>& rows, const std::string& name, std::size_t pairs);

/// "1.25 µs", "3.1 M/s"
std::string format_time(double seconds);
std::string format_rate(double per_second);

}  // namespace bench
