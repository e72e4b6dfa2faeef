// The command line.
#pragma once

#include <cstddef>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include <multiproc/multiproc.hpp>

namespace thumbnails {

/// How much of the work one worker does first, for the comparison at the end.
enum class Baseline {
    none,    ///< nothing: no comparison
    subset,  ///< about one and a half seconds' worth, the same mix of pictures
    all,     ///< everything
};

struct Options {
    std::filesystem::path folder = ".";
    std::filesystem::path output = "thumbnails";
    std::size_t count = 0;  ///< thumbnails to make; 0: each picture once
    std::size_t workers = 0;
    multiproc::StartMethod start_method = multiproc::StartMethod::automatic;
    int size = 128;
    Baseline baseline = Baseline::subset;
    bool is_sandboxed = false;  ///< workers open no files
    bool help = false;
};

extern const char* const usage;

/// What is wrong with the command line, for the user.
class UsageError : public std::invalid_argument {
public:
    using std::invalid_argument::invalid_argument;
};

/// `arguments` are UTF-8, without the program's name. Throws UsageError.
Options parse_options(const std::vector<std::string>& arguments);

}  // namespace thumbnails
