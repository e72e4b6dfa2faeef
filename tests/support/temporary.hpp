// Files for the time of a test.
#pragma once

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <system_error>
#include <thread>

namespace multiproc::test {

inline std::filesystem::path from_utf8(const std::string& text) {
    return std::filesystem::path(std::u8string(text.begin(), text.end()));
}

class TemporaryDirectory {
public:
    TemporaryDirectory() {
        std::random_device random;
        do {
            path_ = std::filesystem::temp_directory_path() / ("multiproc-test-" + std::to_string(random()));
        } while (!std::filesystem::create_directory(path_));
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    ~TemporaryDirectory() {
        // On Windows a program that is just ending may still be open.
        for (int i = 0; i < 500 && !is_removed(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }

    const std::filesystem::path& path() const noexcept { return path_; }
    // In UTF-8, as the library takes paths.
    std::string file(const std::string& name) const {
        const std::u8string text = (path_ / from_utf8(name)).u8string();
        return {text.begin(), text.end()};
    }

private:
    bool is_removed() const {
        std::error_code error;
        std::filesystem::remove_all(path_, error);
        return !error;
    }

    std::filesystem::path path_;
};

// The whole file, or nothing if there is none.
// Paths are UTF-8, as in the library.
inline std::filesystem::path path_of(const std::string& path) {
    return std::filesystem::path(std::u8string(path.begin(), path.end()));
}

inline std::string read_file(const std::string& path) {
    std::ifstream file(path_of(path), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline void write_file(const std::string& path, const std::string& text) {
    std::ofstream(path_of(path), std::ios::binary) << text;
}

}  // namespace multiproc::test
