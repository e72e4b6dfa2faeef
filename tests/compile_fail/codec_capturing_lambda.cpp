// EXPECT: multiproc: a lambda with captures cannot travel.*multiproc::partial
#include <multiproc/codec.hpp>

void use(multiproc::OutputBuffer& out, int factor) {
    multiproc::encode(out, [factor](int x) { return factor * x; });
}
