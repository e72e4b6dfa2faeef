// EXPECT: multiproc: a raw pointer cannot travel to another process
#include <multiproc/multiproc.hpp>

int first(int* list) { return *list; }
void f(int* list) { multiproc::Process p(first, list); }
