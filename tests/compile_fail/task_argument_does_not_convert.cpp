// EXPECT: multiproc: this argument does not convert
#include <multiproc/multiproc.hpp>
#include <vector>

int one(int x);
void f() { multiproc::Process p(one, std::vector<int>{1}); }
