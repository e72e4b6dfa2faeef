// The block of variables that CreateProcess takes.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace multiproc::os {

// "NAME=value" entries, each followed by a null character, sorted as the system asks for, then one more. From
// `variables` (UTF-8), else from this process's environment as it is now; with `bootstrap` as the value of our own
// variable. Throws std::invalid_argument for an entry that is not "NAME=value".
std::wstring environment_block(const std::optional<std::vector<std::string>>& variables, const std::string& bootstrap);

}  // namespace multiproc::os
