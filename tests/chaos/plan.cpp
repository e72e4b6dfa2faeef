#include "plan.hpp"

#include "port.hpp"
#include "random.hpp"
#include "scenario.hpp"

namespace chaos {

Plan plan_of(std::uint64_t seed, const std::string& only) {
    Random random(seed);
    Plan plan;
    plan.seed = seed;
    const auto methods = multiproc::get_all_start_methods();
    plan.method = methods[random.below(static_cast<std::uint32_t>(methods.size()))];
    const auto kinds = all_scenarios();
    const std::uint32_t threads = random.between(1, 3);
    for (std::uint32_t i = 0; i < threads; ++i)
        plan.scenarios.emplace_back(kinds[random.below(static_cast<std::uint32_t>(kinds.size()))].name);
    if (!only.empty()) plan.scenarios = {only};
    plan.duration = std::chrono::milliseconds(random.between(500, 3000));

    const std::uint32_t strikes = random.below(8);
    if (strikes != 0) plan.between_strikes = std::chrono::microseconds(1000u << strikes);
    plan.strikes_managers = random.one_in(3);
    plan.strikes_servers = random.one_in(2);
    plan.stops = random.one_in(2) && port::can_stop();
    const std::uint32_t dies_after = random.between(1, 2500);
    if (random.one_in(4)) plan.parent_dies_after = std::chrono::milliseconds(dies_after);

    const std::uint32_t lack = random.below(12), amount = random.below(1000);
    if (lack == 0 && port::can_limit()) plan.descriptors = 4 + amount / 10;
    if (lack == 1) plan.processes = 24 + amount / 20;
    if (lack == 2 && port::can_limit()) plan.address_space = std::uint64_t{32 + amount} << 20;
    if (lack == 3 || lack == 4) plan.allocation_faults = 20u << amount / 125;
    if ((lack == 4 || lack == 5) && port::can_fail_calls()) plan.call_faults = 100u << amount / 125;
    return plan;
}

std::string describe(const Plan& plan) {
    std::string text = std::string(multiproc::to_string(plan.method)) + ":";
    for (const std::string& scenario : plan.scenarios) text += " " + scenario;
    text += ", " + std::to_string(plan.duration.count()) + " ms";
    if (plan.between_strikes.count() != 0) {
        text += ", struck every " + std::to_string(plan.between_strikes.count()) + " us";
        if (plan.stops) text += ", stops";
        if (plan.strikes_managers) text += ", managers";
        if (plan.strikes_servers) text += ", servers";
    }
    if (plan.parent_dies_after.count() != 0)
        text += ", parent dies after " + std::to_string(plan.parent_dies_after.count()) + " ms";
    if (plan.descriptors != 0) text += ", descriptors +" + std::to_string(plan.descriptors);
    if (plan.processes != 0) text += ", processes " + std::to_string(plan.processes);
    if (plan.address_space != 0) text += ", address space +" + std::to_string(plan.address_space >> 20) + " MiB";
    if (plan.allocation_faults != 0) text += ", allocations fail " + std::to_string(plan.allocation_faults) + "/1e6";
    if (plan.call_faults != 0) text += ", calls fail " + std::to_string(plan.call_faults) + "/1e6";
    return text;
}

}  // namespace chaos
