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

Target::Target(const char* name, void (*run)(Bytes), Seeds (*seeds)()) : name_(name), run_(run), seeds_(seeds) {
    targets().push_back(this);
}

const std::vector<const Target*>& Target::all() { return targets(); }

void require(bool holds, const char* promise) {
    if (holds) return;
    std::fprintf(stderr, "broken promise: %s\n", promise);
    std::abort();
}

}  // namespace multiproc::fuzz
