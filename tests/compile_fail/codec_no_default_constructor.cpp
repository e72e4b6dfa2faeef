// EXPECT: multiproc: a class with a cereal serialize.. needs a public default constructor
#include <multiproc/codec.hpp>

struct Counter {
    explicit Counter(int start) : value(start) {}
    int value;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(value);
    }
};

void use(multiproc::OutputBuffer& out, const Counter& value) { multiproc::encode(out, value); }
