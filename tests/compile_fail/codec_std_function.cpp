// EXPECT: multiproc: std::function hides what it holds
#include <multiproc/codec.hpp>
#include <functional>

struct Job {
    std::function<int(int)> work;
};

void use(multiproc::OutputBuffer& out, const Job& value) { multiproc::encode(out, value); }
