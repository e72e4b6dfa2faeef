// A lock whose owners die: nobody is ever inside with another, and who comes after a dead owner is told.
#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "scenario.hpp"
#include "support/atomic_in.hpp"

namespace chaos {
namespace {

namespace mp = multiproc;
using namespace std::chrono_literals;

struct Guarded {
    std::uint64_t inside = 0;  // who is
    std::uint64_t first = 0, second = 0;
};

template <class L>
void enter(const L& lock, Guarded& guarded, std::uint64_t me, Random& random) {
    std::atomic<std::uint64_t>& inside = mp::test::atomic_in(guarded.inside);
    const std::uint64_t before = inside.exchange(me);
    if (lock.owner_died()) {
        guarded.second = guarded.first;
        lock.make_consistent();
    } else if (before != 0) {
        ledger().fail(Failure::wrong, 1, "two owners of a lock at once");
    } else if (guarded.first != guarded.second) {
        ledger().fail(Failure::wrong, 1, "a lock's owner died and nobody was told");
    }
    const std::uint64_t next = ++guarded.first;
    work_for(std::chrono::microseconds(random.about(300)));
    guarded.second = next;
    if (inside.exchange(0) != me) ledger().fail(Failure::wrong, 1, "another owner came into a lock");
    ledger().count(Operation::lock);
}

template <class L>
void contend(L lock, mp::RawValue<Guarded> guarded, mp::Event stop, std::uint64_t seed) {
    Random random(seed);
    while (!stop.is_set())
        attempt("taking a lock", [&] {
            if (random.one_in(4)) {
                const std::unique_lock guard(lock, std::chrono::microseconds(random.below(3000)));
                if (guard) enter(lock, *guarded, seed, random);
            } else {
                const std::scoped_lock guard(lock);
                if constexpr (std::is_same_v<L, mp::RLock>) lock.lock();
                enter(lock, *guarded, seed, random);
                if constexpr (std::is_same_v<L, mp::RLock>) lock.unlock();
            }
        });
}

template <class L>
void contend_for(Context& context) {
    const L lock;
    const mp::RawValue<Guarded> guarded;
    const mp::Event stop;
    const StopAtEnd stop_at_end(stop);
    std::vector<mp::Process<void>> processes;
    const auto start = [&] {
        mp::Process<void> process(contend<L>, lock, guarded, stop, context.random.next() | 1);
        attempt("starting a process", [&] { process.start(); });
        return process;
    };
    const std::uint32_t count = context.random.between(2, 5);
    for (std::uint32_t i = 0; i < count; ++i) processes.push_back(start());
    Random random = context.random.branch();
    while (!context.is_over()) {
        const std::scoped_lock guard(lock);
        enter(lock, *guarded, 2, random);
        for (auto& process : processes)
            if (!process.is_alive()) process = start();
    }
    stop.set();
    for (const auto& process : processes)
        if (process.pid() != 0) process.join();
    const std::scoped_lock guard(lock);
    enter(lock, *guarded, 2, random);
}

}  // namespace

void run_locks(Context& context) {
    if (context.random.one_in(2))
        contend_for<mp::Lock>(context);
    else
        contend_for<mp::RLock>(context);
}

}  // namespace chaos
