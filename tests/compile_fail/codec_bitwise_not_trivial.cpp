// EXPECT: multiproc: multiproc::bitwise<T> is for trivially copyable types only
#include <multiproc/codec.hpp>
#include <string>

struct Name {
    std::string text;
};
template <>
struct multiproc::bitwise<Name> : std::true_type {};

void use(multiproc::OutputBuffer& out, const Name& value) { multiproc::encode(out, value); }
