// What a round does, all of which follows from its seed. (What happens in it depends on the system's scheduling, too.)
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <multiproc/start_method.hpp>

namespace chaos {

struct Plan {
    std::uint64_t seed = 0;
    multiproc::StartMethod method = multiproc::StartMethod::automatic;
    std::vector<std::string> scenarios;  // at the same time, in threads of one program
    std::chrono::milliseconds duration{0};

    std::chrono::microseconds between_strikes{0};  // on average; zero: nobody is struck
    bool strikes_managers = false;
    bool strikes_servers = false;
    bool stops = false;
    std::chrono::milliseconds parent_dies_after{0};  // zero: it is spared

    std::uint32_t descriptors = 0;        // so many more than the program has at first; 0: no limit
    std::uint32_t processes = 0;          // 0: no limit
    std::uint64_t address_space = 0;      // bytes more than it has at first; 0: no limit
    std::uint32_t allocation_faults = 0;  // of a million
    std::uint32_t call_faults = 0;

    bool is_scarce() const noexcept {
        return descriptors != 0 || processes != 0 || address_space != 0 || allocation_faults != 0 || call_faults != 0;
    }
};

// `only`: the name of the one scenario, or empty.
Plan plan_of(std::uint64_t seed, const std::string& only);
std::string describe(const Plan& plan);

}  // namespace chaos
