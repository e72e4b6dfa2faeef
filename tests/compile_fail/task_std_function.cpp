// EXPECT: multiproc: a std::function hides what it holds
#include <functional>
#include <multiproc/multiproc.hpp>

void f(const std::function<int(int)>& g) { multiproc::Process p(g, 1); }
