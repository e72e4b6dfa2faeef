// A pool and `map`: a function, its inputs, and the results in the order of the inputs.
//
//     def task(pid):
//         result = str(pid)
//         return result
//
//     def main():
//         cpus = multiprocessing.cpu_count()
//         pool = multiprocessing.Pool(cpus)
//         rslt = pool.map(task, range(10))
//         pool.close()
//         pool.join()
//         print(rslt)
//
//     if __name__ == '__main__':
//         main()
#include <ranges>
#include <string>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "print.hpp"

namespace {

namespace mp = multiproc;

std::string task(int id) { return std::to_string(id); }

}  // namespace

int main() {
    mp::freeze_support();  // what `if __name__ == '__main__'` is in Python: a worker goes no further

    mp::Pool pool(mp::cpu_count());
    const std::vector<std::string> results = pool.map(task, std::views::iota(0, 10));
    pool.close();
    pool.join();
    examples::print(results);
}
