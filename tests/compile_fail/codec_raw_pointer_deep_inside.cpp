// EXPECT: multiproc: a raw pointer cannot travel to another process; pass the value
#include <map>
#include <multiproc/codec.hpp>
#include <vector>

struct Inner {
    int number;
    const char* text;
};
struct Outer {
    std::map<int, std::vector<Inner>> inner;
};

Outer use(multiproc::InputBuffer& in) { return multiproc::decode<Outer>(in); }
