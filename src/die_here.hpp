// Every place where one process may die and leave something that others share half-done, each with a name: a test build
// (CMake's MULTIPROC_DIE_HERE) can die at each of them, and tests/die_here_test.cpp does. docs/die-here.md tells more.
//
// A point stands behind a change that others can see, and before the step that completes it. In any other build a point
// is nothing at all.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "death_points.hpp"

namespace multiproc {

enum class DeathPoint : std::uint16_t {
#define MULTIPROC_POINT(name, ...) name,
    MULTIPROC_DEATH_POINTS(MULTIPROC_POINT)
#undef MULTIPROC_POINT
};

#if defined(MULTIPROC_DIE_HERE)

// Ends this process at once, if somebody wants it to die here. Thread-safe.
void die_here(DeathPoint point) noexcept;

// What is wanted, for the tests. It lies in a file that all processes of a test map (`file_variable` in the environment
// names it), so whoever dies is told apart from who is killed, also if it is a process that runs no code of the test.
// A process without that variable never dies.
namespace death {

inline constexpr std::size_t point_count = 0
#define MULTIPROC_POINT(name, ...) +1
    MULTIPROC_DEATH_POINTS(MULTIPROC_POINT)
#undef MULTIPROC_POINT
    ;
inline constexpr const char* file_variable = "MULTIPROC_DIE_HERE_FILE";
std::size_t file_size() noexcept;

// So many can be wanted at a time: one, and those that another one is to find dead.
inline constexpr std::size_t plan_count = 2;
inline constexpr std::uint32_t whoever_comes = 0;  // but this process

// The process `victim` dies when it comes to the point for the `nth` time from now on.
void want(std::size_t plan, DeathPoint point, std::uint32_t nth, std::uint32_t victim) noexcept;
void want_nothing() noexcept;
// Who has died by that plan, or 0.
std::uint32_t dead(std::size_t plan) noexcept;
// How often any process has come to the point.
std::uint32_t visits(DeathPoint point) noexcept;

}  // namespace death

// Of the port, as everything in os.hpp, which only the builds that have it are to know of.
namespace os {

// Memory that all share who map this file. Null if that fails.
std::byte* map_file(const char* path, std::size_t size) noexcept;
// This process is gone, as if another one had killed it.
[[noreturn]] void die() noexcept;

}  // namespace os

#else

inline constexpr void die_here(DeathPoint) noexcept {}

#endif

}  // namespace multiproc
