// EXPECT: multiproc: partial\(\) got more arguments than the function has parameters
#include <multiproc/multiproc.hpp>

int one(int x);
void f() { auto g = multiproc::partial(one, 1, 2); }
