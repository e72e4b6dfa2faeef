/// @file
/// How a process ended.
///
/// ```cpp
/// multiproc::Process p(task, 42);
/// p.start();
/// p.kill();
/// p.join();
/// std::cerr << to_string(*p.exit_status());   // "killed by SIGKILL"
/// ```
#pragma once

#include <cstdint>
#include <string>

#include <multiproc/config.hpp>

namespace multiproc {

/// How a process ended: by exiting with a code, by a signal (on Windows: by an exception, whose NTSTATUS is the number,
/// or by `terminate` and `kill` of this library, which count as SIGTERM and SIGKILL), or in a way that nobody saw.
/// A plain value.
class ExitStatus {
public:
    enum class Kind : std::uint8_t { exited, signalled, unknown };

    constexpr ExitStatus() noexcept = default;
    static constexpr ExitStatus exited(std::uint32_t code) noexcept { return {Kind::exited, code}; }
    static constexpr ExitStatus signalled(std::uint32_t number) noexcept { return {Kind::signalled, number}; }
    static constexpr ExitStatus unknown() noexcept { return {}; }

    constexpr Kind kind() const noexcept { return kind_; }
    /// True for an exit with code 0.
    constexpr bool success() const noexcept { return kind_ == Kind::exited && number_ == 0; }
    /// The exit code, the signal's number or the NTSTATUS; 0 if unknown.
    constexpr std::uint32_t number() const noexcept { return number_; }
    /// As Python's `Process.exitcode`: the exit code, or minus the number of the signal; -255 if unknown.
    constexpr std::int64_t exit_code() const noexcept {
        switch (kind_) {
            case Kind::exited: return number_;
            case Kind::signalled: return -static_cast<std::int64_t>(number_);
            case Kind::unknown: break;
        }
        return -255;
    }

    friend constexpr bool operator==(const ExitStatus&, const ExitStatus&) noexcept = default;

private:
    constexpr ExitStatus(Kind kind, std::uint32_t number) noexcept : kind_(kind), number_(number) {}

    Kind kind_ = Kind::unknown;
    std::uint32_t number_ = 0;
};

/// The name of a signal number of this platform ("SIGKILL"), or of an NTSTATUS on Windows ("ACCESS_VIOLATION");
/// "signal 77" or "0xC0000123" where it has no name. Thread-safe.
MULTIPROC_API std::string signal_name(std::uint32_t number);

/// "exited with code 3", "killed by SIGKILL" or "ended in a way that nobody saw". Thread-safe.
MULTIPROC_API std::string to_string(const ExitStatus& status);

}  // namespace multiproc
