// EXPECT: multiproc: a reference cannot travel to another process
#include <multiproc/codec.hpp>
#include <tuple>

void use(multiproc::OutputBuffer& out, const std::tuple<int&>& value) { multiproc::encode(out, value); }
