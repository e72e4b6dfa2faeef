// EXPECT: multiproc: a result that is a raw pointer
#include <multiproc/multiproc.hpp>

int* make();
void f() { multiproc::Process p(make); }
