// EXPECT: multiproc: a std::weak_ptr owns nothing
#include <memory>
#include <multiproc/codec.hpp>

void use(multiproc::OutputBuffer& out, const std::weak_ptr<int>& value) { multiproc::encode(out, value); }
