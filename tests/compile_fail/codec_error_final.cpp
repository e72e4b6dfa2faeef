// EXPECT: multiproc: a final class cannot travel as an error
#include <multiproc/remote_error.hpp>

struct Failure final : std::runtime_error {
    using std::runtime_error::runtime_error;
};

bool use() { return multiproc::register_error<Failure>(); }
