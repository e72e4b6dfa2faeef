// The processor time that control groups grant.
#pragma once

#include <filesystem>
#include <optional>

namespace multiproc::os::posix {

// How many processors' worth of time this process's control group and those above it grant, if they limit it. `root` is
// where /proc and /sys are looked for; a test puts its own there.
std::optional<double> cpu_quota(const std::filesystem::path& root);

}  // namespace multiproc::os::posix
