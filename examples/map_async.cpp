// `map_async`: the results later. Tasks with even numbers take longer, and the order is that of the inputs all the same.
//
//     def task(pid):
//         result = str(pid)
//         if pid % 2 == 0:
//             sleep(5)
//         return result
//
//     pool = multiprocessing.Pool(cpus)
//     rslt = pool.map_async(task, range(10))
//     pool.close()
//     pool.join()
//     print(rslt.get())
//
// map_async [SECONDS]: how long the even ones sleep, 0.05 unless told otherwise.
#include <chrono>
#include <ranges>
#include <string>
#include <thread>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "print.hpp"

namespace {

namespace mp = multiproc;

using Seconds = std::chrono::duration<double>;

std::string task(Seconds nap, int id) {
    if (id % 2 == 0) std::this_thread::sleep_for(nap);
    return std::to_string(id);
}

}  // namespace

int main(int argc, char** argv) {
    mp::freeze_support();
    const Seconds nap(argc > 1 ? std::stod(argv[1]) : 0.05);

    mp::Pool pool(mp::cpu_count());
    const mp::AsyncResult<std::vector<std::string>> results =
        pool.map_async(mp::partial(task, nap), std::views::iota(0, 10));
    pool.close();
    pool.join();  // returns when all tasks are done, so `get` has nothing to wait for
    examples::print(results.get());
}
