// EXPECT: multiproc: the number of arguments does not match
#include <multiproc/multiproc.hpp>

int one(int x);
void f() { multiproc::Process p(one, 1, 2); }
