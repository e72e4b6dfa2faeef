// EXPECT: multiproc: 
#include <multiproc/multiproc.hpp>

void f() { multiproc::Process p(42); }
