// EXPECT: deleted|implicitly-deleted|explicitly defaulted|use of deleted
#include <multiproc/multiproc.hpp>

int one();
void f() {
    multiproc::Process p(one);
    multiproc::Process q = p;
}
