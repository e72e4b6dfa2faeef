// A plugin: functions that a program runs in other processes, and one that does so itself.
#include <string>

#include <multiproc/multiproc.hpp>

#include "support/exported.hpp"

namespace {
int squared(int x) { return x * x; }
}  // namespace

extern "C" {

MULTIPROC_TEST_EXPORT int task_module_triple(int x) { return x * 3; }

#if defined(__clang__)
#pragma clang diagnostic ignored "-Wreturn-type-c-linkage"
#endif
MULTIPROC_TEST_EXPORT std::string task_module_describe(const std::string& what) { return what + ", says the module"; }

// For a host that knows nothing of this library: needs the shared build.
MULTIPROC_TEST_EXPORT int task_module_run_hosted(const char* worker, int x) {
    multiproc::set_executable(worker);
    multiproc::Process p({.start_method = multiproc::get_all_start_methods().back() == multiproc::StartMethod::fork
                                              ? multiproc::StartMethod::forkserver
                                              : multiproc::StartMethod::spawn},
                         squared, x);
    p.start();
    const int result = p.result();
    multiproc::set_executable({});
    return result;
}
}
