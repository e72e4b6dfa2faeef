#include "../environment.hpp"

#include <cstdlib>

extern char** environ;  // NOLINT: POSIX leaves its declaration to the program

namespace multiproc::test {

void set_variable(const std::string& name, const std::string& value) { ::setenv(name.c_str(), value.c_str(), 1); }
void unset_variable(const std::string& name) { ::unsetenv(name.c_str()); }

std::vector<std::string> all_variables() {
    std::vector<std::string> all;
    for (char** variable = environ; *variable != nullptr; ++variable) all.emplace_back(*variable);
    return all;
}

}  // namespace multiproc::test
