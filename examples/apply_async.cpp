// `apply_async`: calls one by one, their results collected in a vector.
//
//     pool = multiprocessing.Pool()
//     cpus = multiprocessing.cpu_count()
//     results = []
//     for i in xrange(0, cpus):
//         result = pool.apply_async(task, args=(i,))
//         results.append(result)
//     pool.close()
//     pool.join()
//     for result in results:
//         print(result.get())
#include <cstddef>
#include <iostream>
#include <string>
#include <vector>

#include <multiproc/multiproc.hpp>

namespace {

namespace mp = multiproc;

std::string task(std::size_t id) { return "task " + std::to_string(id); }

}  // namespace

int main() {
    mp::freeze_support();

    mp::Pool pool;
    std::vector<mp::AsyncResult<std::string>> results;
    for (std::size_t i = 0; i < mp::cpu_count(); ++i) results.push_back(pool.apply_async(task, i));
    pool.close();
    pool.join();
    for (const auto& result : results) std::cout << result.get() << '\n';  // or throws what the task threw
}
