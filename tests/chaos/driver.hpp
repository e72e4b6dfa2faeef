// Runs round after round: starts a family of processes, strikes them, and takes stock.
#pragma once

namespace chaos {

// The first argument that makes the program the driver.
inline constexpr const char* driver_flag = "drive";

// Returns the exit code: 0 if nothing was lost, done twice, hung, left behind or wrong.
int run_driver(int argc, char** argv);

}  // namespace chaos
