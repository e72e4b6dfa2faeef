// Shows how far the work has come.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace thumbnails {

/// In a terminal a bar on one line, redrawn in place; elsewhere a few plain lines.
class Progress {
public:
    /// `label`: who is at work. `total`: how much there is to do, at least 1. `lines`: how many plain lines to print.
    Progress(std::string label, std::size_t total, std::size_t lines = 10);
    ~Progress() { clear(); }
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    /// May be called as often as one likes; only what a person can see is drawn. What is shown for `total` stays.
    void update(std::size_t done);

    /// A line on stderr that does not disturb the bar.
    void note(const std::string& text);

    /// Takes an unfinished bar away.
    void clear();

private:
    using Clock = std::chrono::steady_clock;

    void draw_bar(std::size_t done);
    void print_line(std::size_t done);
    std::string describe_speed(std::size_t done) const;

    std::string label_;
    std::size_t total_;
    Clock::time_point begin_ = Clock::now();
    Clock::time_point last_drawn_{};
    std::size_t lines_;
    std::size_t lines_printed_ = 0;
    std::size_t drawn_width_ = 0;  ///< characters of the line that are ours, 0 when there is no bar
    bool is_terminal_;
};

}  // namespace thumbnails
