// EXPECT: multiproc: the codec cannot look into an aggregate with a base class
#include <multiproc/codec.hpp>

struct Base {
    int a;
};
struct Derived : Base {
    int b;
};

void use(multiproc::OutputBuffer& out, const Derived& value) { multiproc::encode(out, value); }
