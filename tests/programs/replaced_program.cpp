// A program whose file is replaced while it runs. Arguments: its own path, what to put there ("-": nothing), the start
// method, and "warm" if it starts a process before that.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>
#include <string>

#include <multiproc/multiproc.hpp>

namespace {

namespace fs = std::filesystem;
namespace mp = multiproc;

int forty_two() { return 42; }

int run_one() {
    mp::Process p(forty_two);
    p.start();
    return p.result();
}

}  // namespace

int main(int argc, char** argv) {
    mp::freeze_support();
    if (argc < 5) return 2;
    const fs::path self = argv[1];
    const std::string other = argv[2];
    mp::set_start_method(mp::start_method_from(argv[3]));
    if (std::string(argv[4]) == "warm") run_one();
    fs::path moved = self;
    moved += ".old";
    fs::rename(self, moved);
    if (other != "-") fs::copy_file(other, self);
    try {
        mp::Pool pool({.workers = 2});
        for (const int result : {run_one(), run_one(), pool.apply(forty_two)}) std::cout << "result " << result << '\n';
    } catch (const mp::Error& error) {
        std::cout << "error\n";
        std::cerr << error.what() << '\n';
    }
    return 0;
}
