// Linked into each example that is tested, which knows nothing of it: chooses the start method before `main`.
#include <cstdlib>

#include <multiproc/start_method.hpp>

namespace {

[[maybe_unused]] const bool is_chosen = [] {
    const char* name = std::getenv("MULTIPROC_TEST_START_METHOD");
    if (name != nullptr && *name != '\0') multiproc::set_start_method(multiproc::start_method_from(name));
    return true;
}();

}  // namespace
