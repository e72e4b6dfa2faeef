// multiproc_chaos: random programs over the library, under fire. See docs/chaos.md, and scripts/chaos, which runs it.
//
// It is its own program under fire: the driver starts it again as the first process of a family, and the library starts
// the rest of that.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include <multiproc/multiproc.hpp>

#include "driver.hpp"
#include "ledger.hpp"
#include "scenario.hpp"

int main(int argc, char** argv) {
    try {
        if (argc > 1 && std::string(argv[1]) == chaos::driver_flag) return chaos::run_driver(argc - 2, argv + 2);
        chaos::open_ledger();
        multiproc::freeze_support();
        if (argc < 3) {
            std::fputs("usage: multiproc_chaos drive --help\n", stderr);
            return 2;
        }
        return chaos::run_parent(std::strtoull(argv[1], nullptr, 10), argv[2]);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "multiproc_chaos: %s\n", error.what());
        return 2;
    }
}
