// The program that children run when the host program is not ours: see multiproc::set_executable(). The shared library
// that a task lies in is loaded when the first task of it arrives.

#include <cstdio>

#include <multiproc/freeze_support.hpp>

int main() {
    multiproc::freeze_support();
    std::fputs(
        "multiproc-worker is started by the multiproc library on behalf of a program; there is nothing to run by "
        "hand.\n"
        "Name its path in multiproc::set_executable().\n",
        stderr);
    return 2;
}
