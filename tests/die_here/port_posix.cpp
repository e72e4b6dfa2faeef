#include <signal.h>
#include <unistd.h>

#include "plan.hpp"
#include "support/each_start_method.hpp"

namespace multiproc::test {

void kill_own_fork_server() {
    const pid_t server = ::getppid();
    ::kill(server, SIGKILL);
    EXPECT_TRUE(holds_soon([server] { return ::kill(server, 0) != 0; }));
}

}  // namespace multiproc::test
