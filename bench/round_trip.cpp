// One task there and back, with the worker awake or asleep.

#include <atomic>
#include <memory>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "round_trip.hpp"
#include "rows.hpp"
#include "support.hpp"

namespace bench {
namespace {

int add_one(int x) { return x + 1; }

std::vector<pid_t> pids_of(const multiproc::Pool& pool) {
    std::vector<pid_t> pids;
    for (const std::uint32_t pid : pool.worker_pids()) pids.push_back(static_cast<pid_t>(pid));
    return pids;
}

/// Two cache lines, one per direction; each side writes one of them.
struct Lines {
    alignas(128) std::atomic<std::uint32_t> there{0};
    alignas(128) std::atomic<std::uint32_t> back{0};
};
constexpr std::uint32_t goodbye = UINT32_MAX;

class Awake : public Pair {
public:
    explicit Awake(std::size_t workers) : pool_(workers) { pool_.map(add_one, std::views::iota(0, 1000)); }

    double ours() override {
        for (int i = 0; i < 1000; ++i) pool_.apply(add_one, i);
        return median_of(awake_batches, [&] {
            const Stopwatch watch;
            for (std::size_t i = 0; i < awake_batch; ++i) pool_.apply(add_one, 1);
            return watch.seconds() / awake_batch;
        });
    }

    double peer() override { return spinning_round_trip(); }

private:
    multiproc::Pool pool_;
};

class Asleep : public Pair {
public:
    Asleep(std::size_t workers, Place place) : place_(place), pool_(workers) {
        pool_.map(add_one, std::views::iota(0, 1000));
    }

    double ours() override {
        const std::vector<pid_t> pids = pids_of(pool_);
        const Pinned pinned(place_, pids);
        return median_of(asleep_trips, [&] {
            wait_until_asleep(pids, rest_before_trip);
            const Stopwatch watch;
            pool_.apply(add_one, 1);
            return watch.seconds();
        });
    }

    double peer() override { return sleeping_round_trip(place_); }

private:
    Place place_;
    multiproc::Pool pool_;
};

}  // namespace

double spinning_round_trip() {
    Shared<Lines> lines;
    Child child([&] {
        for (std::uint32_t next = 1;; ++next) {
            std::uint32_t said = 0;
            while ((said = lines->there.load(std::memory_order_acquire)) < next) {}
            if (said == goodbye) return;
            lines->back.store(next, std::memory_order_release);
        }
    });
    std::uint32_t count = 0;
    const auto trip = [&] {
        lines->there.store(++count, std::memory_order_release);
        while (lines->back.load(std::memory_order_acquire) != count) {}
    };
    for (int i = 0; i < 1000; ++i) trip();
    const double seconds = median_of(awake_batches, [&] {
        const Stopwatch watch;
        for (std::size_t i = 0; i < awake_batch; ++i) trip();
        return watch.seconds() / awake_batch;
    });
    lines->there.store(goodbye, std::memory_order_release);
    child.join();
    return seconds;
}

Pinned::Pinned(Place place, const std::vector<pid_t>& threads) : threads_(threads) {
    ::sched_getaffinity(0, sizeof all_, &all_);
    std::vector<int> processors;
    for (int i = 0; i < CPU_SETSIZE; ++i) {
        if (CPU_ISSET(i, &all_)) processors.push_back(i);
    }
    pin(0, processors.front());
    for (const pid_t thread : threads_) pin(thread, place == Place::here ? processors.front() : processors.back());
}

Pinned::~Pinned() {
    for (const pid_t thread : threads_) ::sched_setaffinity(thread, sizeof all_, &all_);
    ::sched_setaffinity(0, sizeof all_, &all_);
}

void Pinned::pin(pid_t thread, int processor) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(processor, &one);
    if (::sched_setaffinity(thread, sizeof one, &one) != 0) throw_errno("sched_setaffinity");
}

double sleeping_round_trip(Place place) {
    Shared<Lines> lines;
    Child child([&] {
        for (std::uint32_t next = 1;; ++next) {
            futex_wait(lines->there, next - 1);
            if (lines->there.load(std::memory_order_acquire) == goodbye) return;
            lines->back.store(next, std::memory_order_release);
            futex_wake(lines->back);
        }
    });
    std::uint32_t count = 0;
    const Pinned pinned(place, {child.pid()});
    const double seconds = median_of(asleep_trips, [&] {
        wait_until_asleep({child.pid()}, rest_before_trip);
        const Stopwatch watch;
        lines->there.store(++count, std::memory_order_release);
        futex_wake(lines->there);
        futex_wait(lines->back, count - 1);
        return watch.seconds();
    });
    lines->there.store(goodbye, std::memory_order_release);
    futex_wake(lines->there);
    child.join();
    return seconds;
}

void add_round_trip_rows(std::vector<Row>& rows, const Settings& settings) {
    const std::size_t workers = settings.workers;
    rows.push_back({.name = "round_trip/awake",
                    .what = "one task, worker awake, round trip",
                    .peer = "two cache lines between two spinning processes",
                    .target = 2.5,
                    .operations = 1000 + awake_batches * awake_batch,
                    .open = [=] { return std::make_unique<Awake>(workers); }});
    rows.push_back({.name = "round_trip/asleep",
                    .what = "one task, worker asleep on another processor, round trip",
                    .peer = "futex ping-pong between two processes",
                    .target = 1.5,
                    .operations = asleep_trips,
                    .open = [=] { return std::make_unique<Asleep>(workers, Place::elsewhere); }});
    rows.push_back({.name = "round_trip/asleep_here",
                    .what = "one task, worker asleep on the caller's processor, round trip",
                    .peer = "futex ping-pong between two processes there",
                    .target = 1.5,
                    .operations = asleep_trips,
                    .open = [=] { return std::make_unique<Asleep>(workers, Place::here); }});
}

}  // namespace bench
