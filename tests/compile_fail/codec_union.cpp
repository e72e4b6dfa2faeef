// EXPECT: multiproc: a union does not say which of its members is alive
#include <multiproc/codec.hpp>

union Number {
    int whole;
    double real;
};

void use(multiproc::OutputBuffer& out, const Number& value) { multiproc::encode(out, value); }
