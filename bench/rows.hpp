// What is measured: a row of the table is a pair of ways to do the same work, ours and a peer's.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace bench {

/// What the rows are run with.
struct Settings {
    std::size_t workers = 2;              ///< of pools, and threads of the peers that have threads
    std::filesystem::path pictures = {};  ///< photographs to make thumbnails of
    std::size_t thumbnails = 600;         ///< how many to make of them
    std::string python = "python3";       ///< runs the peers written in Python
    std::filesystem::path peers = {};     ///< where those are
};

/// One row while it is measured. Whatever takes long to set up (pools, memory) belongs to its constructor.
class Pair {
public:
    Pair() = default;
    Pair(const Pair&) = delete;
    Pair& operator=(const Pair&) = delete;
    virtual ~Pair() = default;

    /// Does the work once, or often enough to be measured, and returns the seconds that one operation took.
    virtual double ours() = 0;
    virtual double peer() = 0;
};

struct Row {
    enum class Show { time, rate };  ///< as time per operation, or operations per second
    /// How the ratio of ours to the peer's compares with the target, if there is one.
    enum class Bound { at_most, at_least, none };

    std::string name;  ///< short, for choosing it on the command line
    std::string what;  ///< what is measured
    std::string peer;  ///< what it is compared with
    Show show = Show::time;
    Bound bound = Bound::at_most;
    double target = 1;
    double operations = 1;  ///< how many of them a call of `Pair::ours` does
    std::function<std::unique_ptr<Pair>()> open;

    /// Ours divided by the peer's, both as they are shown.
    double ratio(double ours_seconds, double peer_seconds) const {
        return show == Show::time ? ours_seconds / peer_seconds : peer_seconds / ours_seconds;
    }
    bool is_met(double ratio_reached) const {
        if (bound == Bound::none) return true;
        return bound == Bound::at_most ? ratio_reached <= target : ratio_reached >= target;
    }
};

/// All rows, in the order of the table.
std::vector<Row> make_rows(const Settings& settings);

void add_round_trip_rows(std::vector<Row>& rows, const Settings& settings);
void add_throughput_rows(std::vector<Row>& rows, const Settings& settings);
void add_large_data_rows(std::vector<Row>& rows, const Settings& settings);
void add_start_rows(std::vector<Row>& rows, const Settings& settings);
void add_crash_rows(std::vector<Row>& rows, const Settings& settings);
void add_communication_rows(std::vector<Row>& rows, const Settings& settings);
void add_manager_rows(std::vector<Row>& rows, const Settings& settings);
void add_thumbnail_rows(std::vector<Row>& rows, const Settings& settings);

}  // namespace bench
