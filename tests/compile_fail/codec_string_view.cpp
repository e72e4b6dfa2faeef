// EXPECT: multiproc: std::string_view, std::span.*pass std::string
#include <multiproc/codec.hpp>
#include <string_view>

void use(multiproc::OutputBuffer& out, std::string_view value) { multiproc::encode(out, value); }
