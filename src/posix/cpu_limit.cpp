#include "cpu_limit.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace multiproc::os::posix {

namespace {

namespace fs = std::filesystem;

// Where a hierarchy is mounted, and which group is shown there.
struct Mount {
    fs::path point;
    std::string group;
};

std::vector<std::string> words_of(const std::string& line) {
    std::istringstream stream(line);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(word);
    return words;
}

bool lists(const std::string& commas, const std::string& wanted) {
    std::istringstream stream(commas);
    for (std::string item; std::getline(stream, item, ',');) {
        if (item == wanted) return true;
    }
    return false;
}

// A line of mountinfo: id, parent, device, root, mount point, options, optional fields, "-", type, source, options.
std::optional<Mount> find_mount(const fs::path& root, bool version2) {
    std::ifstream file(root / "proc/self/mountinfo");
    for (std::string line; std::getline(file, line);) {
        const auto words = words_of(line);
        const auto dash = std::find(words.begin(), words.end(), "-");
        if (words.size() < 7 || words.end() - dash < 4) continue;
        const std::string& type = *(dash + 1);
        const bool fits = version2 ? type == "cgroup2" : type == "cgroup" && lists(*(dash + 3), "cpu");
        if (fits) return Mount{root / fs::path(words[4]).relative_path(), words[3]};
    }
    return std::nullopt;
}

// A line of cgroup: hierarchy, controllers, group, with colons between.
std::optional<std::string> find_group(const fs::path& root, bool version2) {
    std::ifstream file(root / "proc/self/cgroup");
    for (std::string line; std::getline(file, line);) {
        const std::size_t first = line.find(':');
        const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
        if (second == std::string::npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        const bool fits =
            version2 ? line.compare(0, first, "0") == 0 && controllers.empty() : lists(controllers, "cpu");
        if (fits) return line.substr(second + 1);
    }
    return std::nullopt;
}

double number_in(const fs::path& path) {
    std::ifstream file(path);
    double number = 0;
    return file >> number ? number : 0;
}

std::optional<double> quota_of(const fs::path& group, bool version2) {
    double quota = 0;
    double period = 0;
    if (version2) {
        std::ifstream file(group / "cpu.max");
        std::string first;
        if (!(file >> first >> period) || first == "max") return std::nullopt;
        std::istringstream(first) >> quota;
    } else {
        quota = number_in(group / "cpu.cfs_quota_us");  // -1: no limit
        period = number_in(group / "cpu.cfs_period_us");
    }
    if (quota <= 0 || period <= 0) return std::nullopt;
    return quota / period;
}

}  // namespace

std::optional<double> cpu_quota(const fs::path& root) {
    std::optional<double> least;
    for (const bool version2 : {true, false}) {
        const auto mount = find_mount(root, version2);
        const auto group = find_group(root, version2);
        if (!mount || !group) continue;
        // In a container the mount may show only the group's own part of the tree.
        fs::path inside = fs::path(*group).lexically_relative(mount->group);
        if (inside.empty() || *inside.begin() == "..") inside = ".";
        // Every group on the way up limits what is below.
        for (fs::path path = (mount->point / inside).lexically_normal();; path = path.parent_path()) {
            if (const auto quota = quota_of(path, version2)) least = std::min(least.value_or(*quota), *quota);
            if (path == mount->point || path == path.parent_path() ||
                path.native().size() <= mount->point.native().size()) {
                break;
            }
        }
    }
    return least;
}

}  // namespace multiproc::os::posix
