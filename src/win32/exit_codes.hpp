// How Windows tells the end of a process: by one number, which we divide into exit codes and "signals".
#pragma once

#include <cstdint>

#include <multiproc/exit_status.hpp>

namespace multiproc::os {

// What `Signal::terminate` and `Signal::kill` end a process with. Severity "error" and the bit that the system leaves
// to its customers: no NTSTATUS of Windows can be equal. The low bits are the numbers of SIGTERM and SIGKILL.
inline constexpr std::uint32_t terminated_code = 0xE000000F;
inline constexpr std::uint32_t killed_code = 0xE0000009;
// What Ctrl+C ends a process with (STATUS_CONTROL_C_EXIT).
inline constexpr std::uint32_t control_c_code = 0xC000013A;

// Which end the code of GetExitCodeProcess means.
ExitStatus exit_status_of(std::uint32_t code) noexcept;

}  // namespace multiproc::os
