// The processor time that control groups grant.
#pragma once

#include <optional>
#include <string>

namespace multiproc::os::posix {

// How many processors' worth of time this process's control group and those above it grant, if they limit it. `root` is
// where /proc and /sys are looked for; a test puts its own there. Strings, not std::filesystem::path: in libstdc++ 12 that
// destroys what it never made when there is no memory for a part of it.
std::optional<double> cpu_quota(const std::string& root);

}  // namespace multiproc::os::posix
