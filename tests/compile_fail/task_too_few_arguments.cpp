// EXPECT: multiproc: the number of arguments does not match
#include <multiproc/multiproc.hpp>

int two(int x, int y);
void f() { multiproc::Process p(two, 1); }
