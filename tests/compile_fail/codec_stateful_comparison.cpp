// EXPECT: multiproc: a container whose comparison, hash or equality has a state
#include <multiproc/codec.hpp>
#include <set>

using Numbers = std::set<int, bool (*)(int, int)>;

void use(multiproc::OutputBuffer& out, const Numbers& value) { multiproc::encode(out, value); }
