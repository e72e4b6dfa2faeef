// EXPECT: multiproc: 
#include <multiproc/multiproc.hpp>
#include <string>

void f() {
    multiproc::Process p([](auto x, auto y) { return x * y; }, std::string("a"), 1);
}
