#include "plan.hpp"

namespace multiproc::test {

void kill_own_fork_server() {}  // there is none

}  // namespace multiproc::test
