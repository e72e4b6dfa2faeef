#include "target.hpp"

#include <cstdio>
#include <cstdlib>

namespace multiproc::fuzz {
namespace {

std::vector<const Target*>& targets() {
    static std::vector<const Target*> known;
    return known;
}

}  // namespace

Target::Target(const char* name, void (*one)(Bytes), Seeds (*begin)()) : name_(name), run_(one), seeds_(begin) {
    targets().push_back(this);
}

const std::vector<const Target*>& Target::all() { return targets(); }

void require(bool holds, const char* promise) {
    if (holds) return;
    std::fprintf(stderr, "broken promise: %s\n", promise);
    std::abort();
}

}  // namespace multiproc::fuzz
