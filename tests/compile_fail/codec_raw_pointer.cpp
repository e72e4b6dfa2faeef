// EXPECT: multiproc: a raw pointer cannot travel to another process; pass the value
#include <multiproc/codec.hpp>

void use(multiproc::OutputBuffer& out, int* value) { multiproc::encode(out, value); }
