// Semaphores, conditions, events and barriers among processes that die: never more inside than there are permits, and no
// one sleeps through what he waits for.
#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <tuple>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "scenario.hpp"
#include "support/atomic_in.hpp"

namespace chaos {
namespace {

namespace mp = multiproc;
using namespace std::chrono_literals;

constexpr std::uint32_t permits = 2;

struct Things {
    mp::Semaphore semaphore;
    mp::RawValue<std::uint32_t> inside;
    mp::Condition changed;
    mp::RawValue<std::uint64_t> step;
    mp::Barrier barrier;
    mp::Event go, stop;
};
// As they travel: an aggregate of things without default constructors cannot.
using Parts = std::tuple<mp::Semaphore, mp::RawValue<std::uint32_t>, mp::Condition, mp::RawValue<std::uint64_t>,
                         mp::Barrier, mp::Event, mp::Event>;
Things whole(const Parts& parts) { return std::make_from_tuple<Things>(parts); }

void use_semaphore(const Things& things, Random& random) {
    if (!things.semaphore.try_acquire_for(5ms)) return;
    std::atomic<std::uint32_t>& inside = mp::test::atomic_in(*things.inside);
    // Who dies in here keeps its permit, and stays inside for ever.
    if (inside.fetch_add(1) >= permits) ledger().fail(Failure::wrong, 1, "more inside than a semaphore has permits");
    work_for(std::chrono::microseconds(random.about(200)));
    inside.fetch_sub(1);
    things.semaphore.release();
}

void use_condition(const Things& things, Random& random) {
    const std::scoped_lock guard(things.changed);
    if (random.one_in(2)) {
        ++*things.step;
        things.changed.notify_all();
        return;
    }
    const std::uint64_t seen = *things.step;
    (void)things.changed.wait_for([&] { return *things.step != seen || things.stop.is_set(); },
                                  std::chrono::milliseconds(random.between(1, 20)));
}

void use_barrier(const Things& things, Random& random) {
    try {
        if (things.barrier.wait(std::chrono::milliseconds(random.between(1, 30))) >= things.barrier.parties())
            ledger().fail(Failure::wrong, 1, "a place at a barrier that it does not have");
    } catch (const mp::BrokenBarrierError&) { things.barrier.reset(); }
}

void use(Parts parts, std::uint64_t seed) {
    const Things things = whole(parts);
    Random random(seed);
    while (!things.stop.is_set())
        attempt("waiting", [&] {
            switch (random.below(4)) {
                case 0: use_semaphore(things, random); break;
                case 1: use_condition(things, random); break;
                case 2: use_barrier(things, random); break;
                default: (void)things.go.wait_for(1ms); break;
            }
            ledger().count(Operation::sync);
        });
}

// Sleeps until it is told to leave, however long that takes.
void sleep_through(Parts parts) {
    const Things things = whole(parts);
    while (!attempt("sleeping", [&] {
        const std::scoped_lock guard(things.changed);
        if (!things.changed.wait_for([&] { return things.stop.is_set(); }, 40s))
            ledger().fail(Failure::wrong, 1, "a sleeper was not woken");
    })) {}
    ledger().count(Operation::sync);
}

}  // namespace

void run_waits(Context& context) {
    const Parts parts{mp::Semaphore(permits),
                      mp::RawValue<std::uint32_t>(0),
                      mp::Condition(),
                      mp::RawValue<std::uint64_t>(0),
                      mp::Barrier(3),
                      mp::Event(),
                      mp::Event()};
    const Things things = whole(parts);
    const StopAtEnd stop_at_end(things.stop);
    std::vector<mp::Process<void>> processes;
    const auto start = [&](bool is_sleeper) {
        mp::Process<void> process =
            is_sleeper ? mp::Process<void>(sleep_through, parts) : mp::Process<void>(use, parts, context.random.next());
        attempt("starting a process", [&] { process.start(); });
        return process;
    };
    const std::uint32_t count = context.random.between(2, 5);
    for (std::uint32_t i = 0; i < count; ++i) processes.push_back(start(i == 0));
    Random random = context.random.branch();
    while (!context.is_over()) {
        attempt("waiting", [&] { use_barrier(things, random); });
        things.go.set();
        for (std::size_t i = 0; i < processes.size(); ++i)
            if (!processes[i].is_alive()) processes[i] = start(i == 0);
        things.go.clear();
    }
    {
        const std::scoped_lock guard(things.changed);
        things.stop.set();
        things.changed.notify_all();
    }
    for (const auto& process : processes)
        if (process.pid() != 0) process.join();
}

}  // namespace chaos
