// EXPECT: multiproc: this class inherits the serialize.. of its base
#include <multiproc/codec.hpp>

struct Base {
    int a;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(a);
    }
};
struct Derived : Base {
    int b;
};

void use(multiproc::OutputBuffer& out, const Derived& value) { multiproc::encode(out, value); }
