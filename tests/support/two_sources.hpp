// Things that two sources of one program have in common, or only seem to.
#pragma once

#include <string>

namespace multiproc::test {

// One lambda for the whole program.
inline constexpr auto doubled = [](int x) { return x * 2; };

// One function, with a lambda of its own.
inline auto tripled_by() {
    return [](int x) { return x * 3; };
}

// Run in the other source, with things of that source.
int run_doubled_in_other_source(int x);
int run_tripled_in_other_source(int x);
std::string run_static_in_other_source();

}  // namespace multiproc::test
