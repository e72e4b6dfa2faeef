// What a caller gives as a child's environment, looked at before any system sees it: each has its own idea of what to do
// with nonsense.
#pragma once

#include <string>
#include <vector>

namespace multiproc {

// Throws std::invalid_argument unless each entry is "NAME=value" without a zero byte in it. Takes out the variable that
// the library itself uses between parent and child. (A name may begin with '=', as hidden ones of Windows do.)
void check_environment(std::vector<std::string>& entries);

}  // namespace multiproc
