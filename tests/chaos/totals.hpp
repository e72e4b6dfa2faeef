// What all rounds of a run come to.
#pragma once

#include <array>
#include <cstdint>

#include "killer.hpp"
#include "ledger.hpp"

namespace chaos {

struct Totals {
    std::uint64_t rounds = 0;
    std::array<std::uint64_t, operation_kinds> operations{};
    std::array<std::uint64_t, victim_kinds> kills{};
    std::array<std::uint64_t, failure_kinds> failures{};
    std::uint64_t stops = 0, failed_allocations = 0, failed_calls = 0, errors = 0, promised_losses = 0;

    void add(const Killer& killer);
    void add(const Ledger& round);
    bool is_clean() const noexcept;
    void print() const;
};

}  // namespace chaos
