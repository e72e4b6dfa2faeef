// A main() that treats freeze_support() in all the wrong ways, and a few unusual right ones.
//
// Environment: REENTRY_MODE says which, REENTRY_METHOD the start method, REENTRY_LOG a file to which every process that
// enters main adds a line. Arguments do not serve, since children get none.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <string>
#include <thread>

#include <multiproc/multiproc.hpp>

namespace {

namespace mp = multiproc;

std::string setting(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

int forty_two() { return 42; }

// Prints the result, or which error there was.
void try_process() {
    try {
        mp::Process p(forty_two);
        p.start();
        const int result = p.result();
        std::cout << "result " << result << std::endl;
    } catch (const mp::BootstrapError& error) {
        std::cout << "BootstrapError" << std::endl;
        std::cerr << error.what() << std::endl;
    } catch (const mp::StartError& error) {
        std::cout << "StartError" << std::endl;
        std::cerr << error.what() << std::endl;
    } catch (const std::exception& error) { std::cout << "another error: " << error.what() << std::endl; }
}

void try_pool() {
    try {
        mp::Pool pool({.workers = 2});
        const int result = pool.apply(forty_two);
        std::cout << "result " << result << std::endl;
    } catch (const mp::BootstrapError& error) {
        std::cout << "BootstrapError" << std::endl;
        std::cerr << error.what() << std::endl;
    } catch (const mp::Error& error) {
        std::cout << "Error" << std::endl;
        std::cerr << error.what() << std::endl;
    }
}

// What a static object of a program may do long before main.
const bool thread_of_a_static_object = [] {
    if (setting("REENTRY_MODE") == "early_thread")
        std::thread([] { std::this_thread::sleep_for(std::chrono::hours(1)); }).detach();
    return true;
}();

int main_with(const std::string& mode, bool is_parent) {
    if (mode == "forgotten") {
        try_process();
        try_pool();
    } else if (mode == "late") {
        try_process();
        mp::freeze_support();
        mp::set_start_method(mp::start_method_from(setting("REENTRY_METHOD")));
        try_process();
    } else if (mode == "twice") {
        mp::freeze_support();
        mp::freeze_support();
        mp::set_start_method(mp::start_method_from(setting("REENTRY_METHOD")));
        try_process();
    } else if (mode == "good" || mode == "early_thread") {
        std::cout << "before freeze_support\n";
        mp::freeze_support();
        mp::set_start_method(mp::start_method_from(setting("REENTRY_METHOD")));
        try_process();
        try_pool();
    } else if (is_parent) {
        // The mistake of all others: freeze_support() under a condition that a child does not meet.
        mp::freeze_support();
        mp::set_start_method(mp::start_method_from(setting("REENTRY_METHOD")));
        try_process();
    } else if (mode == "crashes") {
        const volatile int* volatile nowhere = nullptr;
        return *nowhere;
    } else if (mode == "never_returns") {
        std::this_thread::sleep_for(std::chrono::hours(1));
    } else if (mode == "exits") {
        std::cout << "printed by a child" << std::endl;
        std::exit(3);
    } else if (mode == "cascades") {
        try_process();  // a cascade, were it not refused
        try_pool();
    }
    return 0;
}

}  // namespace

int main(int argc, char**) {
    std::ofstream(setting("REENTRY_LOG"), std::ios::app) << "main\n";
    return main_with(setting("REENTRY_MODE"), argc > 1);
}
