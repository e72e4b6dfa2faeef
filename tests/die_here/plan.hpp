// What the scenarios of the die-here tests have in common: who dies where, and what is looked at afterwards.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <string>

#include <multiproc/multiproc.hpp>

#include "die_here.hpp"

namespace multiproc::test {

using namespace std::chrono_literals;

// Enough on a busy machine for what takes moments, and only against waiting for ever.
inline constexpr auto long_enough = 60s;

// Who comes to the point for the nth time dies there. It travels to the victim, which says so itself.
struct Plan {
    std::uint16_t point = 0;
    std::uint32_t nth = 1;

    DeathPoint where() const noexcept { return static_cast<DeathPoint>(point); }
    // This process dies there.
    void begin() const { death::want(0, where(), nth, current_process().pid); }
    // Whoever but this process comes there.
    void begin_elsewhere() const { death::want(0, where(), nth, death::whoever_comes); }
};

// As a second plan: this process dies there, for another one to find.
inline void die_at(DeathPoint point) { death::want(1, point, 1, current_process().pid); }

inline bool has_died() { return death::dead(0) != 0; }

// Waits for a victim that is this process's child, and for no other reason than to die.
template <class R>
void expect_dead(Process<R>& victim) {
    ASSERT_TRUE(victim.join_for(long_enough)) << "the victim did not come to an end";
    ASSERT_EQ(death::dead(0), victim.pid()) << "the victim did not come to the point, but ended: "
                                            << to_string(victim.exit_status().value_or(ExitStatus::unknown()));
}

// ---- one function for each scenario: starts who is to die, and looks at what the others can do then ------------------

void test_makes_objects(Plan plan);
void test_is_one_of_many(Plan plan);
void test_buries(Plan plan);
void test_puts(Plan plan);
void test_gets(Plan plan);
void test_inherits_queue(Plan plan);
void test_locks(Plan plan);
void test_inherits_lock(Plan plan);
void test_waits(Plan plan);
void test_wakes(Plan plan);
void test_meets(Plan plan);
void test_works(Plan plan);
void test_owns_pool(Plan plan);
void test_is_started(Plan plan);
void test_starts(Plan plan);
void test_is_fork_server(Plan plan);
void test_calls_manager(Plan plan);
void test_serves_as_manager(Plan plan);

// Kills the fork server that this process, a child of it, came from.
void kill_own_fork_server();

}  // namespace multiproc::test
