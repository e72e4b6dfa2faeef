#include "jobs.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace thumbnails {
namespace {

namespace fs = std::filesystem;

bool has_picture_name(const fs::path& path) {
    std::string extension = to_text(path.extension());
    std::transform(extension.begin(), extension.end(), extension.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    constexpr std::array<std::string_view, 3> known{".jpg", ".jpeg", ".png"};
    return std::find(known.begin(), known.end(), extension) != known.end();
}

bool is_same_folder(const fs::path& left, const fs::path& right) {
    std::error_code missing;
    return fs::equivalent(left, right, missing) && !missing;
}

/// "000042-Sunset.jpg": the number makes the name unique, the rest tells a reader what it is.
fs::path thumbnail_name(std::size_t number, const fs::path& picture) {
    std::string digits = std::to_string(number);
    if (digits.size() < 6) digits.insert(0, 6 - digits.size(), '0');
    fs::path name = digits;
    // File systems take names of about 255 characters, and ours gets longer than the picture's.
    constexpr std::size_t longest_stem = 200;
    const fs::path stem = picture.stem();
    if (stem.native().size() <= longest_stem) (name += "-") += stem;
    return name += ".jpg";
}

}  // namespace

std::vector<fs::path> find_pictures(const fs::path& folder, const fs::path& output) {
    if (!fs::exists(folder)) throw std::invalid_argument("there is no folder " + to_text(folder));
    if (!fs::is_directory(folder)) throw std::invalid_argument(to_text(folder) + " is not a folder");
    if (is_same_folder(folder, output)) {
        throw std::invalid_argument("the thumbnails would mix with the pictures of " + to_text(folder) +
                                    ": choose another folder with --output");
    }
    std::vector<fs::path> pictures;
    using Walk = fs::recursive_directory_iterator;
    for (auto entry = Walk(folder, fs::directory_options::skip_permission_denied); entry != Walk(); ++entry) {
        std::error_code unreadable;  // a link that leads nowhere, say, is no picture
        if (entry->is_directory(unreadable)) {
            if (is_same_folder(entry->path(), output)) entry.disable_recursion_pending();
        } else if (entry->is_regular_file(unreadable) && has_picture_name(entry->path())) {
            pictures.push_back(entry->path());
        }
    }
    if (pictures.empty()) throw std::invalid_argument("no .jpg, .jpeg or .png file in " + to_text(folder));
    std::sort(pictures.begin(), pictures.end());
    return pictures;
}

std::vector<Job> make_jobs(const std::vector<fs::path>& pictures, std::size_t count, const fs::path& output, int size) {
    // A worker need not share our working directory for as long as the job takes, so the paths are made absolute.
    const fs::path folder = fs::absolute(output);
    std::vector<Job> jobs;
    jobs.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        const fs::path& picture = pictures[i % pictures.size()];
        jobs.push_back({fs::absolute(picture), folder / thumbnail_name(i + 1, picture), size});
    }
    return jobs;
}

}  // namespace thumbnails
