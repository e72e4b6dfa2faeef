// The fixture of tests of sandboxed pools. They are not made by plain fork: the suite of that method makes them by the
// default one.
#pragma once

#include <algorithm>

#include <multiproc/multiproc.hpp>

#include "each_start_method.hpp"

namespace multiproc::test {

class Sandboxed : public EachStartMethod {
protected:
    void SetUp() override {
        EachStartMethod::SetUp();
        if (get_start_method() != StartMethod::fork) return;
        set_start_method(get_all_start_methods().front());
        Process<void> first([] {});  // what the library then keeps stays
        first.start();
        first.join();
        first.close();
        allow(1, 12);
    }

    static bool has_fork() {
        const auto all = get_all_start_methods();
        return std::ranges::find(all, StartMethod::fork) != all.end();
    }
};

}  // namespace multiproc::test
