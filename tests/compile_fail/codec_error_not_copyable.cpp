// EXPECT: multiproc: an error that travels must be copyable
#include <multiproc/remote_error.hpp>

struct Failure : std::runtime_error {
    using std::runtime_error::runtime_error;
    Failure(const Failure&) = delete;
};

bool use() { return multiproc::register_error<Failure>(); }
