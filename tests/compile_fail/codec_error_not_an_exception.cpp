// EXPECT: multiproc: an error that travels must be a class derived from std::exception
#include <multiproc/remote_error.hpp>

struct Failure {
    int code;
};

bool use() { return multiproc::register_error<Failure>(); }
