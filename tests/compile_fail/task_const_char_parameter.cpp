// EXPECT: multiproc: a raw pointer cannot travel to another process
#include <multiproc/multiproc.hpp>

std::size_t length(const char* text) { return text == nullptr ? 0 : 1; }
void f() { multiproc::Process p(length, "text"); }
