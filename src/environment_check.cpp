#include "environment_check.hpp"

#include <stdexcept>

namespace multiproc {

void check_environment(std::vector<std::string>& entries) {
    for (const std::string& entry : entries) {
        if (entry.find('=', 1) == std::string::npos || entry.find('\0') != std::string::npos)
            throw std::invalid_argument("multiproc: an environment variable must be \"NAME=value\", not \"" + entry +
                                        "\"");
    }
    std::erase_if(entries, [](const std::string& entry) { return entry.starts_with("MULTIPROC_BOOTSTRAP="); });
}

}  // namespace multiproc
