// EXPECT: multiproc: an error that travels needs a constructor from std::string
#include <multiproc/remote_error.hpp>

class Failure : public std::runtime_error {
public:
    explicit Failure(int code) : std::runtime_error("failure"), code_(code) {}

private:
    int code_;
};

bool use() { return multiproc::register_error<Failure>(); }
