// The second source of task_identity_test.cpp.
#include <multiproc/multiproc.hpp>

#include "support/two_sources.hpp"

namespace {
namespace mp = multiproc;

std::string who_am_i() { return "other"; }
constexpr auto local = [] { return who_am_i(); };
struct Local {
    std::string suffix;
    std::string operator()() const { return who_am_i() + suffix; }
};
}  // namespace

namespace multiproc::test {

int run_doubled_in_other_source(int x) {
    mp::Process p(doubled, x);
    p.start();
    return p.result();
}
int run_tripled_in_other_source(int x) {
    mp::Process p(tripled_by(), x);
    p.start();
    return p.result();
}
std::string run_static_in_other_source() {
    mp::Process p(who_am_i), q(local), r(Local{"!"});
    p.start();
    q.start();
    r.start();
    return p.result() + " " + q.result() + " " + r.result();
}

}  // namespace multiproc::test
