// EXPECT: multiproc: the first argument must be something that can be called
#include <multiproc/multiproc.hpp>

void f() { multiproc::Process p(42); }
