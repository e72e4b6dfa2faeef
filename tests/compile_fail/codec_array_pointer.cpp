// EXPECT: multiproc: a smart pointer to void or to an array does not say how much it points to
#include <memory>
#include <multiproc/codec.hpp>

void use(multiproc::OutputBuffer& out, const std::unique_ptr<int[]>& value) { multiproc::encode(out, value); }
