// The program under fire.
#include <algorithm>
#include <cstdio>
#include <thread>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "port.hpp"
#include "scenario.hpp"
#include "support/leftovers.hpp"

namespace chaos {
namespace {

namespace mp = multiproc;
using namespace std::chrono_literals;

// Waits until `condition()` holds, and returns whether it does: descriptors and processes go a moment after the call that
// gives them up. A round that is loaded, stopped and continued takes its time.
template <class Condition>
bool holds_soon(Condition condition) {
    const auto give_up = Clock::now() + 15s;
    while (!condition()) {
        if (Clock::now() > give_up) return false;
        std::this_thread::sleep_for(5ms);
    }
    return true;
}

// What a program keeps for its whole life: it is there after its first process.
class Possessions {
public:
    Possessions() : handles_(mp::test::open_handles()), processes_(mp::test::descendants().size()) {}

    // A fork server that was killed is followed by another, with which come some descriptors.
    void check() const {
        constexpr std::size_t more_processes = 1, more_handles = 12;
        if (!holds_soon([] { return mp::active_children().empty(); }))
            ledger().fail(Failure::left_behind, 1, "a child is still listed");
        const auto processes = [] { return mp::test::descendants().size(); };
        if (!holds_soon([&] { return processes() <= processes_ + more_processes; }))
            ledger().fail(Failure::left_behind, processes() - processes_, "%zu processes or zombies; %zu at first",
                          processes(), processes_);
        const std::size_t may_have = handles_ + more_handles + mp::test::kept_handles_per_sleeper() * 64;
        if (!holds_soon([&] { return mp::test::open_handles() <= may_have; }))
            ledger().fail(Failure::left_behind, 1, "%zu open handles; %zu at first", mp::test::open_handles(),
                          handles_);
    }

private:
    std::size_t handles_, processes_;
};

void start_first_process() {
    mp::Process<void> first([] {});
    first.start();
    first.join();
    const std::uint32_t pid = first.pid();
    first.close();
    holds_soon([pid] { return std::ranges::count(mp::test::descendants(), pid) == 0; });
}

void begin_lack(const Plan& plan) {
    ledger().is_scarce.store(plan.is_scarce() ? 1 : 0);
    ledger().allocation_faults.store(plan.allocation_faults);
    ledger().call_faults.store(plan.call_faults);
    if (plan.descriptors != 0) port::limit_descriptors(plan.descriptors);
    if (plan.address_space != 0) port::limit_address_space(plan.address_space);
}

void end_lack() {
    ledger().allocation_faults.store(0);
    ledger().call_faults.store(0);
    port::lift_limits();
}

void run_scenarios(const Plan& plan) {
    Random random(plan.seed ^ 0x5eed);
    std::vector<Context> contexts;
    std::vector<std::thread> threads;
    for (const std::string& name : plan.scenarios)
        for (const ScenarioKind& kind : all_scenarios())
            if (name == kind.name) contexts.push_back({plan, random.branch(), Clock::now() + plan.duration, kind.name});
    threads.reserve(contexts.size());
    begin_lack(plan);
    ledger().stage.store(Ledger::running);
    for (Context& context : contexts) {
        const auto run = [&context] {
            for (const ScenarioKind& kind : all_scenarios())
                if (kind.name == context.scenario) attempt(kind.name, [&] { kind.run(context); });
        };
        attempt("starting a thread", [&] {
            const faults::Pause without_faults;
            threads.emplace_back(run);
        });
    }
    for (std::thread& thread : threads) thread.join();
    end_lack();
    ledger().stage.store(Ledger::taking_stock);
}

}  // namespace

int run_parent(std::uint64_t seed, const std::string& only) {
    const Plan plan = plan_of(seed, only);
    mp::set_start_method(plan.method);
    start_first_process();
    const Possessions possessions;
    run_scenarios(plan);
    possessions.check();
    return 0;
}

}  // namespace chaos
