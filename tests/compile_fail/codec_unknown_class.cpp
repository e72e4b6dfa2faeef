// EXPECT: multiproc: the codec does not know how to take this class apart.*add a cereal serialize.. member
#include <multiproc/codec.hpp>

class Counter {
public:
    explicit Counter(int start) : value_(start) {}

private:
    int value_;
};

void use(multiproc::OutputBuffer& out, const Counter& value) { multiproc::encode(out, value); }
