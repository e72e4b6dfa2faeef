// EXPECT: multiproc: a raw pointer cannot travel to another process; pass the value
#include <multiproc/codec.hpp>

struct Link {
    int* target = nullptr;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(target);
    }
};

void use(multiproc::OutputBuffer& out, const Link& value) { multiproc::encode(out, value); }
