// Programs that are interrupted while a pool works; the first argument says how they take it. They print the pids of
// their processes in one line, then "ready".
#include <cstdio>
#include <cstdlib>
#include <ranges>
#include <string>
#include <thread>

#include <multiproc/multiproc.hpp>

namespace {

namespace mp = multiproc;

int wait_for_ever(int number) {
    mp::Event().wait();
    return number;
}

void work(mp::Pool& pool, const mp::Manager& manager) {
    const auto list = manager.list<int>();
    list.append(1);
    for (const std::uint32_t pid : pool.worker_pids()) std::printf("%u ", static_cast<unsigned>(pid));
    std::printf("%u\nready\n", static_cast<unsigned>(manager.pid()));
    std::fflush(stdout);
    pool.map(wait_for_ever, std::views::iota(0, 100), 1);
}

// What is done on the way out, and takes long.
struct Slow {
    ~Slow() {
        std::puts("cleaning up");
        std::fflush(stdout);
        const mp::InterruptHold hold;
        mp::Event().wait();
    }
};

}  // namespace

int main(int argc, char** argv) {
    mp::freeze_support();
    const char* method = std::getenv("MULTIPROC_TEST_START_METHOD");
    if (method != nullptr && *method != '\0') mp::set_start_method(mp::start_method_from(method));
    const std::string mode = argc > 1 ? argv[1] : "";
    if (mode == "plain") {
        const mp::Manager manager;
        mp::Pool pool(2);
        pool.start();
        work(pool, manager);
        return 0;
    }
    try {
        const mp::InterruptScope interruptible;
        const Slow* slow = nullptr;
        try {
            const mp::Manager manager;
            mp::Pool pool(2);
            pool.start();
            work(pool, manager);
        } catch (const mp::Interrupted&) {
            if (mode == "slow") slow = new Slow;
            delete slow;
            throw;
        }
    } catch (const mp::Interrupted&) { std::puts("interrupted"); }
    // It goes on.
    mp::Pool pool(2);
    std::printf("sum %d\n", pool.apply([](int a, int b) { return a + b; }, 40, 2));
    return 5;
}
