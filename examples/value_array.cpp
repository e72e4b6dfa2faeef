// A number and an array in memory that processes share, and a lock for what several of them change.
//
//     def f(n, a):
//         n.value = 3.1415927
//         for i in range(len(a)):
//             a[i] = -a[i]
//
//     def count(counter):
//         for _ in range(1000):
//             with counter.get_lock():
//                 counter.value += 1
//
//     num = Value('d', 0.0)
//     arr = Array('i', range(10))
//     p = Process(target=f, args=(num, arr))
//     p.start()
//     p.join()
//     print(num.value)
//     print(arr[:])
//
//     counter = Value('i', 0)
//     processes = [Process(target=count, args=(counter,)) for _ in range(4)]
//     ...
//     print(counter.value)
#include <iomanip>
#include <iostream>
#include <mutex>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "print.hpp"

namespace {

namespace mp = multiproc;

void change(const mp::Value<double>& number, const mp::Array<int>& array) {
    *number = 3.1415927;
    for (int& element : array) element = -element;
}

void count(const mp::Value<int>& counter) {
    for (int i = 0; i < 1000; ++i) {
        const std::scoped_lock guard(counter.get_lock());
        ++*counter;
    }
}

}  // namespace

int main() {
    mp::freeze_support();

    const mp::Value number(0.0);
    const mp::Array<int> array{0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    mp::Process process(change, number, array);
    process.start();
    process.join();
    std::cout << std::setprecision(8) << number.get() << '\n';
    examples::print(array);

    const mp::Value counter(0);
    std::vector<mp::Process<>> processes;
    for (int i = 0; i < 4; ++i) processes.emplace_back(count, counter).start();
    for (const auto& each : processes) each.join();
    std::cout << counter.get() << '\n';
}
