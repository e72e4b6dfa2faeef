// EXPECT: multiproc: Process<R>: R is not what the function returns
#include <multiproc/multiproc.hpp>

int one();
void f() { multiproc::Process<long> p(one); }
