// EXPECT: multiproc: a parameter of type T& cannot work across processes
#include <multiproc/multiproc.hpp>
#include <vector>

void fill(std::vector<int>& list) { list.push_back(1); }
void f(std::vector<int>& list) { multiproc::Process p(fill, list); }
