// EXPECT: multiproc: a C array cannot travel by itself
#include <multiproc/codec.hpp>

void use(multiproc::OutputBuffer& out) { multiproc::encode(out, "literal"); }
