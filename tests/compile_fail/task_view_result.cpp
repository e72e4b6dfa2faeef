// EXPECT: multiproc: a result that is a view
#include <multiproc/multiproc.hpp>
#include <string_view>

std::string_view name();
void f() { multiproc::Process p(name); }
