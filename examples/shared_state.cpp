// A dict of mixed contents and a list, in a manager's process, which another process changes.
//
//     def f(d, l):
//         d[1] = '1'
//         d['2'] = 2
//         d[0.25] = None
//         l.reverse()
//
//     manager = Manager()
//     d = manager.dict()
//     l = manager.list(range(10))
//     p = Process(target=f, args=(d, l))
//     p.start()
//     p.join()
//     print(d)
//     print(l)
#include <iostream>
#include <ranges>

#include <multiproc/multiproc.hpp>

namespace {

namespace mp = multiproc;

void f(mp::DictProxy<mp::Any, mp::Any> d, mp::ListProxy<int> l) {
    d[1] = "1";
    d["2"] = 2;
    d[0.25] = nullptr;
    l.reverse();
}

}  // namespace

int main() {
    mp::freeze_support();

    const mp::Manager manager;
    const auto d = manager.dict();  // keys and values of any kind
    const auto l = manager.list(std::views::iota(0, 10));
    mp::Process p(f, d, l);
    p.start();
    p.join();
    std::cout << d << '\n' << l << '\n';
}
