#include "options.hpp"

#include <charconv>
#include <functional>
#include <map>
#include <string_view>

namespace thumbnails {

const char* const usage = R"(Usage: thumbnails [FOLDER] [OPTION]...

Makes thumbnails of the JPEG and PNG pictures in FOLDER (default: the current
folder) and the folders below it, in several processes at once.

  --count N         make N thumbnails, going through the pictures again and
                    again (default: each picture once)
  --workers N       processes at work (default: one for each processor)
  --start-method M  how they are started: forkserver, spawn or fork, as far as
                    the platform has it
  --output DIR      where the thumbnails go (default: thumbnails)
  --size N          fit them inside a square of N pixels (default: 128)
  --baseline WHAT   what one worker does first, to compare: none, subset or all
                    (default: subset, about 1.5 seconds' worth)
  --sandbox         this process reads and writes the files, and the workers,
                    who get and give bytes, can open none: a picture that
                    takes its decoder over gets no further (not with fork)
  --help            show this text

Exit status: 0 done, 1 nothing could be made, 2 wrong usage, 130 interrupted.
)";

namespace {

std::size_t parse_number(std::string_view option, std::string_view text, std::size_t least, std::size_t most) {
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < least || value > most) {
        throw UsageError(std::string(option) + " takes a number from " + std::to_string(least) + " to " +
                         std::to_string(most) + ", not '" + std::string(text) + "'");
    }
    return value;
}

std::filesystem::path to_path(std::string_view utf8) {
    if (utf8.empty()) throw UsageError("a folder has a name");
    return std::u8string(utf8.begin(), utf8.end());
}

Baseline parse_baseline(std::string_view text) {
    if (text == "none") return Baseline::none;
    if (text == "subset") return Baseline::subset;
    if (text == "all") return Baseline::all;
    throw UsageError("--baseline takes none, subset or all, not '" + std::string(text) + "'");
}

multiproc::StartMethod parse_start_method(std::string_view text) {
    try {
        return multiproc::start_method_from(text);
    } catch (const std::invalid_argument& error) { throw UsageError("--start-method: " + std::string(error.what())); }
}

}  // namespace

Options parse_options(const std::vector<std::string>& arguments) {
    Options options;
    options.workers = multiproc::cpu_count();
    bool has_folder = false;

    using Setter = std::function<void(std::string_view)>;
    const std::map<std::string_view, Setter> setters{
        {"--count", [&](auto text) { options.count = parse_number("--count", text, 1, 10'000'000); }},
        {"--workers", [&](auto text) { options.workers = parse_number("--workers", text, 1, 1000); }},
        {"--start-method", [&](auto text) { options.start_method = parse_start_method(text); }},
        {"--output", [&](auto text) { options.output = to_path(text); }},
        {"--size", [&](auto text) { options.size = static_cast<int>(parse_number("--size", text, 8, 2048)); }},
        {"--baseline", [&](auto text) { options.baseline = parse_baseline(text); }},
    };

    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string_view argument = arguments[i];
        if (argument == "--help" || argument == "-h") {
            options.help = true;
            return options;
        }
        if (argument == "--sandbox") {
            options.is_sandboxed = true;
            continue;
        }
        if (!argument.starts_with("-")) {
            if (has_folder) throw UsageError("one folder is enough, and '" + std::string(argument) + "' is another");
            options.folder = to_path(argument);
            has_folder = true;
            continue;
        }
        // Both "--count 6000" and "--count=6000".
        const std::size_t equals = argument.find('=');
        const std::string_view name = argument.substr(0, equals);
        const auto setter = setters.find(name);
        if (setter == setters.end()) throw UsageError("unknown option " + std::string(name));
        if (equals != std::string_view::npos) {
            setter->second(argument.substr(equals + 1));
        } else if (++i < arguments.size()) {
            setter->second(arguments[i]);
        } else {
            throw UsageError(std::string(name) + " needs a value");
        }
    }
    return options;
}

}  // namespace thumbnails
