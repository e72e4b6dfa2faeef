// A directory of its own for the temporary files of one test, and of the processes that it starts: to find out whether
// something was left there.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "environment.hpp"
#include "temporary.hpp"

namespace multiproc::test {

class OwnTemporary {
public:
    OwnTemporary() {
        for (const char* name : {"TMPDIR", "TMP", "TEMP"}) {  // POSIX looks at the first, Windows at the others
            before_.emplace_back(name, value_of(name));
            set_variable(name, directory_.file({}));
        }
    }
    OwnTemporary(const OwnTemporary&) = delete;
    OwnTemporary& operator=(const OwnTemporary&) = delete;
    ~OwnTemporary() {
        for (const auto& [name, value] : before_) {
            if (value) {
                set_variable(name, *value);
            } else {
                unset_variable(name);
            }
        }
    }

    // What is there: of that in directories the path within this one. But for what gtest catches output in: on Windows it
    // cannot remove that while a worker has it open.
    std::vector<std::string> files() const {
        std::vector<std::string> found;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_.path())) {
            std::string file = entry.path().lexically_relative(directory_.path()).string();
            if (!file.starts_with("gte")) found.push_back(std::move(file));
        }
        return found;
    }

private:
    static std::optional<std::string> value_of(const std::string& name) {
        for (const std::string& variable : all_variables())
            if (variable.starts_with(name + "=")) return variable.substr(name.size() + 1);
        return {};
    }

    TemporaryDirectory directory_;
    std::vector<std::pair<std::string, std::optional<std::string>>> before_;
};

}  // namespace multiproc::test
