// All targets in one program, for any compiler: runs the messages that the library itself writes, and the kept corpus.
//
//     multiproc_fuzz_corpus DIRECTORY                 all of DIRECTORY/<target>/
//     multiproc_fuzz_corpus --write-seeds DIRECTORY   writes the library's own messages there
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <multiproc/freeze_support.hpp>

#include "target.hpp"

namespace {

namespace files = std::filesystem;
using namespace multiproc::fuzz;

ByteVector read(const files::path& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) throw std::runtime_error("cannot read " + path.string());
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    const Bytes bytes = bytes_of(text);
    return {bytes.begin(), bytes.end()};
}

void write_seeds(const files::path& directory) {
    for (const Target* target : Target::all()) {
        files::create_directories(directory / target->name());
        for (const auto& [name, bytes] : target->seeds()) {
            std::ofstream out(directory / target->name() / name, std::ios::binary);
            out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
            if (!out.flush()) throw std::runtime_error("cannot write a seed of " + std::string(target->name()));
        }
    }
}

// Returns whether there was something to run for each target.
bool replay(const files::path& directory) {
    bool is_complete = true;
    for (const Target* target : Target::all()) {
        // Of what the sanitizers or an assertion end, this is the last line.
        std::printf("%s: ", target->name());
        std::fflush(stdout);
        for (const auto& seed : target->seeds()) target->run(seed.bytes);
        std::size_t count = 0;
        const files::path corpus = directory / target->name();
        if (files::is_directory(corpus)) {
            for (const auto& entry : files::directory_iterator(corpus)) {
                target->run(read(entry.path()));
                ++count;
            }
        }
        std::printf("%zu kept files\n", count);
        if (count == 0) is_complete = false;
    }
    return is_complete;
}

}  // namespace

int main(int argc, char** argv) {
    multiproc::freeze_support();
    try {
        if (argc == 3 && std::string(argv[1]) == "--write-seeds") {
            write_seeds(argv[2]);
            return 0;
        }
        if (argc == 2) {
            if (replay(argv[1])) return 0;
            std::fprintf(stderr, "there is no corpus for some of the targets\n");
            return 1;
        }
        std::fprintf(stderr, "usage: %s [--write-seeds] DIRECTORY\n", argv[0]);
    } catch (const std::exception& error) { std::fprintf(stderr, "%s\n", error.what()); }
    return 2;
}
