#include "progress.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "terminal.hpp"

namespace thumbnails {
namespace {

constexpr auto redraw_interval = std::chrono::milliseconds(50);

std::string format_time(double seconds) {
    std::array<char, 32> text{};
    const auto whole = static_cast<long>(seconds + 0.5);
    if (seconds < 9.95) {
        std::snprintf(text.data(), text.size(), "%.1f s", seconds);
    } else if (whole < 60) {
        std::snprintf(text.data(), text.size(), "%ld s", whole);
    } else if (whole < 3600) {
        std::snprintf(text.data(), text.size(), "%ld:%02ld min", whole / 60, whole % 60);
    } else {
        std::snprintf(text.data(), text.size(), "%ld:%02ld h", whole / 3600, whole / 60 % 60);
    }
    return text.data();
}

}  // namespace

Progress::Progress(std::string label, std::size_t total, std::size_t lines)
    : label_(std::move(label)), total_(total), lines_(lines), is_terminal_(stdout_is_terminal()) {}

void Progress::update(std::size_t done) {
    if (!is_terminal_) {
        const std::size_t due = done * lines_ / total_;
        if (due > lines_printed_) print_line(done);
        lines_printed_ = due;
        return;
    }
    const auto now = Clock::now();
    if (now - last_drawn_ < redraw_interval && done < total_) return;
    last_drawn_ = now;
    draw_bar(done);
    if (done < total_) return;
    std::printf("\n");
    drawn_width_ = 0;
}

void Progress::note(const std::string& text) {
    clear();
    std::fprintf(stderr, "%s\n", text.c_str());
    last_drawn_ = {};
}

void Progress::clear() {
    if (drawn_width_ == 0) return;
    std::printf("\r%*s\r", static_cast<int>(drawn_width_), "");
    std::fflush(stdout);
    drawn_width_ = 0;
}

std::string Progress::describe_speed(std::size_t done) const {
    const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
    if (done == 0 || seconds <= 0) return {};
    const double rate = static_cast<double>(done) / seconds;
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), rate < 10 ? "  %.1f/s  " : "  %.0f/s  ", rate);
    if (done == total_) return text.data() + ("in " + format_time(seconds));
    return text.data() + format_time(static_cast<double>(total_ - done) / rate) + " left";
}

/// "2 workers [=========>          ]  234/600  187/s  2 s left", as long as the terminal is wide.
void Progress::draw_bar(std::size_t done) {
    // The last column stays free: writing there makes some terminals go to the next line.
    const auto columns = static_cast<std::size_t>(std::clamp(terminal_columns() - 1, 1, 100));
    const std::string total = std::to_string(total_);
    std::string count = std::to_string(done);
    count.insert(0, total.size() - count.size(), ' ');
    const std::string numbers = "  " + count + "/" + total + describe_speed(done);

    constexpr std::size_t label_width = 10;  // several bars below each other begin in the same column
    std::string line = label_;
    line.resize(std::max(line.size(), label_width), ' ');
    constexpr std::size_t least_bar = 10;
    // The numbers change their width: a margin keeps the end of the bar from trembling.
    const std::size_t around = line.size() + std::max<std::size_t>(numbers.size(), 30) + 3;
    if (columns >= around + least_bar) {
        const std::size_t width = columns - around;
        const std::size_t full = width * done / total_;
        std::string bar(full, '=');
        if (full < width) bar += '>';
        bar.resize(width, ' ');
        line += " [" + bar + "]";
    }
    line += numbers;
    line.resize(std::min(line.size(), columns));

    const std::size_t width = line.size();
    line.resize(std::max(width, drawn_width_), ' ');  // covers what is left of a longer line
    std::printf("\r%s", line.c_str());
    std::fflush(stdout);
    drawn_width_ = width;
}

void Progress::print_line(std::size_t done) {
    std::printf("%s: %zu of %zu%s\n", label_.c_str(), done, total_, describe_speed(done).c_str());
    std::fflush(stdout);
}

}  // namespace thumbnails
