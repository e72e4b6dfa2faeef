// EXPECT: multiproc: a pointer to a member cannot travel
#include <multiproc/codec.hpp>

struct Job {
    int number;
};

void use(multiproc::OutputBuffer& out, int Job::*value) { multiproc::encode(out, value); }
