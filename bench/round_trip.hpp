// What round trips between two processes are measured against.
#pragma once

#include <sched.h>
#include <sys/types.h>

#include <cstddef>
#include <vector>

namespace bench {

constexpr std::size_t awake_batches = 25;
constexpr std::size_t awake_batch = 400;
constexpr std::size_t asleep_trips = 100;
/// Longer than who is ours looks for work before sleeping.
constexpr double rest_before_trip = 500e-6;

/// Seconds for one round trip by two cache lines between two spinning processes.
double spinning_round_trip();

/// Where the processes that are woken are to run. Waking one on a processor that is idle takes ten times as long as
/// switching to it on the caller's, and the system puts each side now here and now there: that would be all a row shows.
enum class Place { elsewhere, here };

/// Seconds for one round trip by two futexes between two processes, each of which sleeps when it is woken.
double sleeping_round_trip(Place place);

/// Keeps this thread on one processor, and others on the same or another.
class Pinned {
public:
    Pinned(Place place, const std::vector<pid_t>& threads);
    ~Pinned();
    Pinned(const Pinned&) = delete;
    Pinned& operator=(const Pinned&) = delete;

private:
    static void pin(pid_t thread, int processor);

    std::vector<pid_t> threads_;
    cpu_set_t all_;
};

}  // namespace bench
