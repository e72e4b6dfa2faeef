// EXPECT: multiproc: std::function hides what it holds
#include <functional>
#include <multiproc/codec.hpp>

struct Job {
    std::function<int(int)> work;
};

void use(multiproc::OutputBuffer& out, const Job& value) { multiproc::encode(out, value); }
