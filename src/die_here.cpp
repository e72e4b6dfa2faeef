// Dying at a point, in a test build: other builds do not compile this file.
#include "die_here.hpp"

#include <atomic>
#include <cstdlib>

#include "os.hpp"

namespace multiproc {
namespace {

struct Plan {
    std::atomic<std::uint32_t> point;  // + 1; 0: none
    std::atomic<std::uint32_t> victim;
    std::atomic<std::uint32_t> spared;  // if the victim is whoever comes
    std::atomic<std::uint32_t> visits_left;
    std::atomic<std::uint32_t> dead;
};

struct Board {
    Plan plans[death::plan_count];
    std::atomic<std::uint32_t> visits[death::point_count];
};

// Null in a process that is part of no such test. Mapped at the first point that is come to, and inherited by copies.
Board* board() noexcept {
    static std::atomic<Board*> known{nullptr};
    static std::atomic<bool> is_known{false};
    if (!is_known.load(std::memory_order_acquire)) {
        const char* const file = std::getenv(death::file_variable);  // NOLINT(concurrency-mt-unsafe)
        Board* none = nullptr;
        if (file != nullptr)
            known.compare_exchange_strong(none, reinterpret_cast<Board*>(os::map_file(file, sizeof(Board))));
        is_known.store(true, std::memory_order_release);
    }
    return known.load(std::memory_order_acquire);
}

bool is_meant(const Plan& plan, DeathPoint point) noexcept {
    if (plan.point.load(std::memory_order_acquire) != static_cast<std::uint32_t>(point) + 1) return false;
    const std::uint32_t victim = plan.victim.load(std::memory_order_relaxed);
    return victim == death::whoever_comes ? plan.spared.load(std::memory_order_relaxed) != os::current_pid()
                                          : victim == os::current_pid();
}

}  // namespace

void die_here(DeathPoint point) noexcept {
    Board* const shared = board();
    if (shared == nullptr) return;
    shared->visits[static_cast<std::size_t>(point)].fetch_add(1, std::memory_order_relaxed);
    for (Plan& plan : shared->plans) {
        if (!is_meant(plan, point) || plan.visits_left.fetch_sub(1, std::memory_order_acq_rel) != 1) continue;
        plan.point.store(0, std::memory_order_relaxed);
        plan.dead.store(os::current_pid(), std::memory_order_release);
        os::die();
    }
}

namespace death {

std::size_t file_size() noexcept { return sizeof(Board); }

void want(std::size_t index, DeathPoint point, std::uint32_t nth, std::uint32_t victim) noexcept {
    Plan& plan = board()->plans[index];
    plan.victim.store(victim, std::memory_order_relaxed);
    plan.spared.store(os::current_pid(), std::memory_order_relaxed);
    plan.visits_left.store(nth, std::memory_order_relaxed);
    plan.dead.store(0, std::memory_order_relaxed);
    plan.point.store(static_cast<std::uint32_t>(point) + 1, std::memory_order_release);
}

void want_nothing() noexcept {
    for (Plan& plan : board()->plans) {
        plan.point.store(0, std::memory_order_relaxed);
        plan.dead.store(0, std::memory_order_relaxed);
    }
}

std::uint32_t dead(std::size_t plan) noexcept { return board()->plans[plan].dead.load(std::memory_order_acquire); }

std::uint32_t visits(DeathPoint point) noexcept {
    return board()->visits[static_cast<std::size_t>(point)].load(std::memory_order_relaxed);
}

}  // namespace death
}  // namespace multiproc
