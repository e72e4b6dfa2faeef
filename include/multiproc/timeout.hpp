/// @file
/// How long something may take.
#pragma once

#include <chrono>

#include <multiproc/config.hpp>

namespace multiproc {

/// A duration of any unit and type, as the functions that wait take it: `get_for(2s)`, `join_for(std::chrono::hours(1))`.
/// What is too long for 64 bits of nanoseconds (292 years), such as `std::chrono::hours::max()`, stands for the longest
/// there is instead of overflowing to a past one; and so does one that is not a number.
class Timeout {
public:
    template <class Rep, class Period>
    constexpr Timeout(
        const std::chrono::duration<Rep, Period>& duration) noexcept  // NOLINT(google-explicit-constructor)
        : value_(saturated(duration)) {}
    constexpr operator std::chrono::nanoseconds() const noexcept {  // NOLINT(google-explicit-constructor)
        return value_;
    }
    constexpr std::chrono::nanoseconds::rep count() const noexcept { return value_.count(); }  ///< of nanoseconds

private:
    template <class Rep, class Period>
    static constexpr std::chrono::nanoseconds saturated(const std::chrono::duration<Rep, Period>& duration) noexcept {
        using std::chrono::nanoseconds;
        constexpr double limit = 9.2e9;  // seconds, short of 2^63 nanoseconds
        const double seconds = std::chrono::duration<double>(duration).count();
        if (seconds < -limit) return (nanoseconds::min)();
        if (!(seconds < limit)) return (nanoseconds::max)();
        return std::chrono::duration_cast<nanoseconds>(duration);
    }

    std::chrono::nanoseconds value_;
};

}  // namespace multiproc
