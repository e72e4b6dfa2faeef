// What a project of its own does with the library: starts a process and a pool.
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include <multiproc/multiproc.hpp>

std::string spell(int number) { return std::to_string(number); }

int main() {
    multiproc::freeze_support();

    multiproc::Process process(spell, 42);
    process.start();
    process.join();
    if (process.result() != "42") return EXIT_FAILURE;

    multiproc::Pool pool({.workers = 2});
    const std::vector<std::string> words = pool.map(spell, std::vector<int>{1, 2, 3});
    if (words != std::vector<std::string>{"1", "2", "3"}) return EXIT_FAILURE;
    std::cout << "the consumer works\n";
    return EXIT_SUCCESS;
}
