#include "leftovers.hpp"

#if !defined(MULTIPROC_SHARED)
#include "runtime.hpp"
#endif

namespace multiproc::test {

#if defined(MULTIPROC_SHARED)
// A shared library shows only what is public.
std::size_t shared_objects() { return 0; }
#else
std::size_t shared_objects() {
    Runtime::get().sweep();
    return Runtime::get().arena().object_count();
}
#endif

}  // namespace multiproc::test
