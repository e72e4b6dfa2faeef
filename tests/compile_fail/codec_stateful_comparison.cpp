// EXPECT: multiproc: a container whose comparison, hash or equality has a state
#include <multiproc/codec.hpp>
#include <set>

void use(multiproc::OutputBuffer& out, const std::set<int, bool (*)(int, int)>& value) { multiproc::encode(out, value); }
