#include "../environment.hpp"

#include <cstdlib>

namespace multiproc::test {

// Through the C runtime, so that getenv sees it too.
void set_variable(const std::string& name, const std::string& value) { _putenv_s(name.c_str(), value.c_str()); }
void unset_variable(const std::string& name) { _putenv_s(name.c_str(), ""); }

std::vector<std::string> all_variables() {
    std::vector<std::string> all;
    for (char** variable = _environ; *variable != nullptr; ++variable) all.emplace_back(*variable);
    return all;
}

}  // namespace multiproc::test
