// EXPECT: multiproc: a std::weak_ptr owns nothing
#include <multiproc/codec.hpp>
#include <memory>

void use(multiproc::OutputBuffer& out, const std::weak_ptr<int>& value) { multiproc::encode(out, value); }
