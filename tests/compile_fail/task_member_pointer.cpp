// EXPECT: multiproc: a pointer to a member cannot travel
#include <multiproc/multiproc.hpp>

struct Object {
    int work() { return 1; }
};

void f() { multiproc::Process p(&Object::work, Object{}); }
