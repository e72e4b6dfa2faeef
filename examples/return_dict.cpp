// Five processes put their results into a dict that a manager keeps.
//
//     def worker(procnum, return_dict):
//         print(str(procnum) + ' represent!')
//         return_dict[procnum] = procnum
//
//     manager = Manager()
//     return_dict = manager.dict()
//     jobs = []
//     for i in range(5):
//         p = multiprocessing.Process(target=worker, args=(i, return_dict))
//         jobs.append(p)
//         p.start()
//     for proc in jobs: proc.join()
//     print(sorted(return_dict.values()))
//
// (Where a process has one result, `Process::result` does without a manager.)
#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "print.hpp"

namespace {

namespace mp = multiproc;

void worker(int number, mp::DictProxy<int, int> results) {
    std::cout << std::to_string(number) + " represent!\n" << std::flush;
    results[number] = number;
}

}  // namespace

int main() {
    mp::freeze_support();

    const mp::Manager manager;
    const auto results = manager.dict<int, int>();
    std::vector<mp::Process<>> jobs;
    for (int i = 0; i < 5; ++i) jobs.emplace_back(worker, i, results).start();
    for (const auto& job : jobs) job.join();

    std::vector<int> values = results.values();  // in the order in which the processes came by
    std::sort(values.begin(), values.end());
    examples::print(values);
}
