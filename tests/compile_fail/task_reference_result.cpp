// EXPECT: multiproc: a result that is a reference cannot travel back
#include <multiproc/multiproc.hpp>
#include <string>

const std::string& name();
void f() { multiproc::Process p(name); }
