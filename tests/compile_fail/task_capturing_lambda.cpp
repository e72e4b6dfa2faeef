// EXPECT: multiproc: this callable cannot travel to another process. A lambda with captures is not allowed
#include <multiproc/multiproc.hpp>

void f(int x) {
    multiproc::Process p([x] { return x; });
}
