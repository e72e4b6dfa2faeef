// EXPECT: multiproc: the first argument must be something that can be called
#include <multiproc/multiproc.hpp>

#include <string>

struct Overloaded {
    int operator()(int) const { return 1; }
    int operator()(int, int) const { return 2; }
};

void f() { multiproc::Process p(Overloaded{}, std::string("a")); }
