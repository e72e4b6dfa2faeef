// EXPECT: multiproc: a function pointer inside a value cannot travel
#include <multiproc/codec.hpp>

struct Job {
    int (*function)(int);
};

void use(multiproc::OutputBuffer& out, const Job& value) { multiproc::encode(out, value); }
