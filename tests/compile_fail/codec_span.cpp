// EXPECT: multiproc: std::string_view, std::span.*pass std::string
#include <multiproc/codec.hpp>
#include <span>
#include <vector>

void use(multiproc::OutputBuffer& out, const std::vector<std::span<int>>& value) { multiproc::encode(out, value); }
