#include "cpu_limit.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace multiproc::os::posix {

namespace {

// Where a hierarchy is mounted, and which group is shown there.
struct Mount {
    std::string point;
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
std::optional<Mount> find_mount(const std::string& root, bool version2) {
    std::ifstream file(root + "/proc/self/mountinfo");
    for (std::string line; std::getline(file, line);) {
        const auto words = words_of(line);
        const auto dash = std::find(words.begin(), words.end(), "-");
        if (words.size() < 7 || words.end() - dash < 4) continue;
        const std::string& type = *(dash + 1);
        const bool fits = version2 ? type == "cgroup2" : type == "cgroup" && lists(*(dash + 3), "cpu");
        if (fits) return Mount{root + words[4], words[3]};
    }
    return std::nullopt;
}

// A line of cgroup: hierarchy, controllers, group, with colons between.
std::optional<std::string> find_group(const std::string& root, bool version2) {
    std::ifstream file(root + "/proc/self/cgroup");
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

double number_in(const std::string& path) {
    std::ifstream file(path);
    double number = 0;
    return file >> number ? number : 0;
}

std::optional<double> quota_of(const std::string& group, bool version2) {
    double quota = 0;
    double period = 0;
    if (version2) {
        std::ifstream file(group + "/cpu.max");
        std::string first;
        if (!(file >> first >> period) || first == "max") return std::nullopt;
        std::istringstream(first) >> quota;
    } else {
        quota = number_in(group + "/cpu.cfs_quota_us");  // -1: no limit
        period = number_in(group + "/cpu.cfs_period_us");
    }
    if (quota <= 0 || period <= 0) return std::nullopt;
    return quota / period;
}

// Where a group is below the one that a mount shows: empty, or with a slash in front. In a container the mount may show
// only the group's own part of the tree, and the group's name may lead out of it.
std::string inside(const std::string& group, const std::string& shown) {
    const std::string top = shown == "/" ? "" : shown;
    if (!group.starts_with(top + "/") || group.starts_with(top + "/..") || group == "/") return "";
    return group.substr(top.size());
}

}  // namespace

std::optional<double> cpu_quota(const std::string& root) {
    std::optional<double> least;
    for (const bool version2 : {true, false}) {
        const auto mount = find_mount(root, version2);
        const auto group = find_group(root, version2);
        if (!mount || !group) continue;
        // Every group on the way up limits what is below.
        for (std::string path = mount->point + inside(*group, mount->group);; path.resize(path.rfind('/'))) {
            if (const auto quota = quota_of(path, version2)) least = std::min(least.value_or(*quota), *quota);
            if (path.size() <= mount->point.size()) break;
        }
    }
    return least;
}

}  // namespace multiproc::os::posix
