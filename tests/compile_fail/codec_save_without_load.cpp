// EXPECT: multiproc: this class can be saved but not loaded
#include <multiproc/codec.hpp>

struct Half {
    Half() {}
    int value = 0;
    template <class Archive>
    void save(Archive& archive) const {
        archive(value);
    }
};

void use(multiproc::OutputBuffer& out, const Half& value) { multiproc::encode(out, value); }
