// Programs that end in different ways while they have a pool; the first argument says which. They print the pids of
// their workers, one a line, then "ready".
#include <cstdio>
#include <cstdlib>
#include <ranges>
#include <string>

#include <multiproc/multiproc.hpp>

#include "support/gate.hpp"

namespace {

namespace mp = multiproc;

int twice(int number) { return 2 * number; }

mp::Pool& static_pool() {
    static mp::Pool pool(2);
    return pool;
}
mp::Pool early_pool(2);  // made before main, destroyed after everything that main makes

void print_ready(const mp::Pool& pool) {
    for (const std::uint32_t pid : pool.worker_pids()) std::printf("%u\n", static_cast<unsigned>(pid));
    std::puts("ready");
    std::fflush(stdout);
}

void use(mp::Pool& pool) {
    if (pool.apply(twice, 21) != 42) std::abort();
    print_ready(pool);
}

}  // namespace

int main(int argc, char** argv) {
    mp::freeze_support();
    const char* method = std::getenv("MULTIPROC_TEST_START_METHOD");
    if (method != nullptr && *method != '\0') mp::set_start_method(mp::start_method_from(method));
    const std::string mode = argc > 1 ? argv[1] : "";
    const std::string gate = argc > 2 ? argv[2] : "";
    if (mode == "static") {
        use(static_pool());
        use(early_pool);
    } else if (mode == "leaked") {
        static mp::Pool* never_destroyed = nullptr;
        never_destroyed = new mp::Pool(2);
        use(*never_destroyed);
    } else if (mode == "exit_with_tasks") {
        for (int i = 0; i < 100; ++i) early_pool.apply_async(mp::test::pass_gate, gate, i);
        print_ready(early_pool);
        std::exit(3);
    } else if (mode == "map_for_ever") {
        early_pool.start();
        print_ready(early_pool);
        early_pool.map(mp::partial(mp::test::pass_gate, gate), std::views::iota(0, 100), 1);
    }
    return 0;
}
