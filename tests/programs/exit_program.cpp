// How a program ends that has children. Arguments: the mode, the start method.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>

#include <multiproc/multiproc.hpp>

namespace {

namespace mp = multiproc;

void speak_late() {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    std::cout << "child done" << std::endl;
}

void sleep_long() { std::this_thread::sleep_for(std::chrono::hours(1)); }

// A child with a child: tells both pids, then stays.
void family(int generations) {
    std::cout << mp::current_process().pid << std::endl;
    if (generations == 0) sleep_long();
    mp::Process p(family, generations - 1);
    p.start();
    p.join();
}

void start_and_forget(bool daemon, void (*f)()) {
    mp::Process p(mp::ProcessOptions{.daemon = daemon}, f);
    p.start();
}

}  // namespace

int main(int argc, char** argv) {
    multiproc::freeze_support();
    if (argc < 3) return 2;
    const std::string mode = argv[1];
    mp::set_start_method(mp::start_method_from(argv[2]));
    if (mode == "joins") {
        start_and_forget(false, speak_late);
    } else if (mode == "joins_at_exit") {
        start_and_forget(false, speak_late);
        std::cout << "main done" << std::endl;
        std::exit(5);
    } else if (mode == "terminates_daemons") {
        start_and_forget(true, sleep_long);
        start_and_forget(true, sleep_long);
    } else if (mode == "both") {
        start_and_forget(true, sleep_long);
        start_and_forget(false, speak_late);
    } else if (mode == "quick") {
        start_and_forget(false, sleep_long);
        std::cout << "main done" << std::endl;
        std::_Exit(6);
    } else if (mode == "family") {
        family(2);
    } else if (mode == "static") {
        static mp::Process p(speak_late);
        p.start();
    }
    std::cout << "main done" << std::endl;
    return 0;
}
