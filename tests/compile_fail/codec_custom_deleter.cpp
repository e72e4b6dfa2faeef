// EXPECT: multiproc: a std::unique_ptr with its own deleter cannot travel
#include <memory>
#include <multiproc/codec.hpp>

struct Close {
    void operator()(int* number) const { delete number; }
};

void use(multiproc::OutputBuffer& out, const std::unique_ptr<int, Close>& value) { multiproc::encode(out, value); }
