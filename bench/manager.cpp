// Calls to a manager's server.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "round_trip.hpp"
#include "rows.hpp"
#include "support.hpp"

namespace bench {
namespace {

namespace mp = multiproc;

constexpr int awake_calls = 100'000;
constexpr int python_calls = 4'000;

std::vector<pid_t> threads_of(std::uint32_t pid) {
    std::vector<pid_t> threads;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task"))
        threads.push_back(static_cast<pid_t>(std::stoi(entry.path().filename().string())));
    return threads;
}

/// Sets and gets one item after the other; seconds for each call.
class Calls {
public:
    double awake() const {
        call_many(1000);
        const Stopwatch watch;
        call_many(awake_calls);
        return watch.seconds() / awake_calls;
    }
    /// The server sleeps before each.
    double asleep(Place place) const {
        dict_.set(0, 0);
        const std::vector<pid_t> threads = threads_of(manager_.pid());
        const Pinned pinned(place, threads);
        int number = 0;
        return median_of(asleep_trips, [&] {
            wait_until_asleep(threads, rest_before_trip);
            const Stopwatch watch;
            call(++number);
            return watch.seconds();
        });
    }

private:
    void call(int number) const {
        if (number % 2 == 0) {
            dict_.set(number % 1000, number);
        } else {
            (void)dict_.get(number % 1000);
        }
    }
    void call_many(int count) const {
        for (int i = 0; i < count; ++i) call(i);
    }

    mp::Manager manager_;
    mp::DictProxy<int, int> dict_ = manager_.dict<int, int>();
};

class AgainstFutex : public Pair {
public:
    double ours() override { return calls_.asleep(Place::elsewhere); }
    double peer() override { return sleeping_round_trip(Place::elsewhere); }

private:
    Calls calls_;
};

class AgainstPython : public Pair {
public:
    AgainstPython(const Settings& settings, bool is_awake)
        : is_awake_(is_awake),
          command_{settings.python, (settings.peers / "manager_dict.py").string(), std::to_string(python_calls),
                   is_awake ? "0" : std::to_string(rest_before_trip)} {}
    double ours() override { return is_awake_ ? calls_.awake() : calls_.asleep(Place::here); }
    double peer() override { return run_peer(command_); }

private:
    bool is_awake_;
    std::vector<std::string> command_;
    Calls calls_;
};

Row python_row(const Settings& settings, bool is_awake, double target) {
    return {.name = is_awake ? "manager/python_awake" : "manager/python_asleep",
            .what = is_awake ? "set or get of a Manager's dict, one after the other"
                             : "set or get of a Manager's dict, its server asleep on the caller's processor",
            .peer = "Python's Manager().dict()",
            .show = Row::Show::rate,
            .bound = Row::Bound::at_least,
            .target = target,
            .operations = is_awake ? awake_calls : static_cast<double>(asleep_trips),
            .open = [=] { return std::make_unique<AgainstPython>(settings, is_awake); }};
}

}  // namespace

void add_manager_rows(std::vector<Row>& rows, const Settings& settings) {
    rows.push_back({.name = "manager/asleep",
                    .what = "set or get of a Manager's dict, its server asleep on another processor",
                    .peer = "futex ping-pong between two processes",
                    .target = 1.6,
                    .operations = asleep_trips,
                    .open = [] { return std::make_unique<AgainstFutex>(); }});
    rows.push_back(python_row(settings, false, 4));
    rows.push_back(python_row(settings, true, 50));
}

}  // namespace bench
