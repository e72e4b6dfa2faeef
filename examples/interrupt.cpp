// Ctrl+C ends a pool: its workers end at once, the program in order, and nothing is left behind.
//
//     pool = Pool(initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN))
//     result = pool.map_async(task, range(100))
//     try:
//         print(sum(result.get(999999)))                   # without a timeout Ctrl+C would not get through
//     except KeyboardInterrupt:
//         pool.terminate()
//         pool.join()
//         sys.exit(130)
//
// Workers of a multiproc::Pool ignore Ctrl+C by themselves: the program decides what it means. With an InterruptScope the
// wait for the results throws; on the way out the pool ends with what it was at.
//
// interrupt [SECONDS]: how long each of the hundred tasks takes, 1 unless told otherwise.
#include <chrono>
#include <iostream>
#include <numeric>
#include <ranges>
#include <string>
#include <thread>
#include <vector>

#include <multiproc/multiproc.hpp>

namespace {

namespace mp = multiproc;

using Seconds = std::chrono::duration<double>;
constexpr int exit_interrupted = 128 + 2;  // as a shell reports a program that SIGINT ended

int task(Seconds work, int id) {
    std::this_thread::sleep_for(work);
    return id;
}

}  // namespace

int main(int argc, char** argv) {
    mp::freeze_support();
    const Seconds work(argc > 1 ? std::stod(argv[1]) : 1.0);
    const mp::InterruptScope interruptible;
    try {
        mp::Pool pool;
        pool.start();
        const auto result = pool.map_async(mp::partial(task, work), std::views::iota(0, 100));
        std::cout << "working; Ctrl+C ends it" << std::endl;
        const std::vector<int> ids = result.get();
        std::cout << "sum " << std::accumulate(ids.begin(), ids.end(), 0) << '\n';
    } catch (const mp::Interrupted&) {
        std::cout << "interrupted\n";
        return exit_interrupted;
    }
}
