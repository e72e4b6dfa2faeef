// EXPECT: multiproc: a std::function hides what it holds
#include <multiproc/multiproc.hpp>
#include <functional>

void f(const std::function<int(int)>& g) { multiproc::Process p(g, 1); }
