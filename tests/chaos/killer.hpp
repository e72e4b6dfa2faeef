// Strikes random processes of a family at random instants.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "plan.hpp"
#include "port.hpp"
#include "random.hpp"

namespace chaos {

enum class Victim : std::uint8_t { worker, server, manager, parent, other };
inline constexpr std::size_t victim_kinds = 5;
const char* name_of(Victim victim) noexcept;

class Killer {
public:
    Killer(port::Family& family, const Plan& plan);
    ~Killer() { stop(); }
    // Ends it; whoever was stopped goes on.
    void stop();

    // After `stop`.
    const std::array<std::uint64_t, victim_kinds>& kills() const noexcept { return kills_; }
    std::uint64_t stops() const noexcept { return stops_; }

private:
    void run();
    void strike();
    void interrupt(std::uint32_t pid);
    bool is_target(Victim victim) const noexcept;

    port::Family& family_;
    const Plan& plan_;
    Random random_;
    std::array<std::uint64_t, victim_kinds> kills_{};
    std::uint64_t stops_ = 0;
    std::atomic<bool> is_over_{false};
    std::thread thread_;
};

}  // namespace chaos
