// The environment of this process, and texts as Windows writes them.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

namespace multiproc::test {

void set_variable(const std::string& name, const std::string& value);
void unset_variable(const std::string& name);
// "NAME=value" each.
std::vector<std::string> all_variables();

inline std::vector<std::string> variables_with_prefix(const std::string& prefix) {
    std::vector<std::string> found;
    for (const std::string& variable : all_variables())
        if (variable.starts_with(prefix) && !variable.starts_with(prefix + "_TIMEOUT=")) found.push_back(variable);
    return found;
}

// Windows ends lines by "\r\n" in files opened as text.
inline std::string without_returns(std::string text) {
    std::erase(text, '\r');
    return text;
}

}  // namespace multiproc::test
