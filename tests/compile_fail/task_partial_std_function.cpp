// EXPECT: multiproc: a std::function hides what it holds
#include <functional>
#include <multiproc/multiproc.hpp>

void f(const std::function<int(int)>& g) { auto h = multiproc::partial(g, 1); }
