// EXPECT: multiproc: a result that is a view
#include <multiproc/multiproc.hpp>
#include <span>

std::span<const int> numbers();
void f() { multiproc::Process p(numbers); }
