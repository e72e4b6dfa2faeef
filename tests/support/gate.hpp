// A gate between processes: tasks wait at it until a test opens it, so that tests decide what is running when.
//
// It is a file: the one thing that processes share here without the library under test.
#pragma once

#include <chrono>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <thread>

namespace multiproc::test {

class Gate {
public:
    Gate()
        : path_((std::filesystem::temp_directory_path() /
                 ("multiproc-gate-" + std::to_string(std::random_device{}()) + std::to_string(std::random_device{}())))
                    .string()) {}
    ~Gate() {
        std::error_code ignored;
        std::filesystem::remove(path_, ignored);
    }
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;

    const std::string& path() const { return path_; }
    void open() const { std::ofstream(path_).put('.'); }
    bool is_open() const { return std::filesystem::exists(path_); }
    // Returns when it is open; false after half a minute.
    bool await() const { return await(path_); }
    static bool await(const std::string& path) {
        for (int i = 0; i < 15'000; ++i) {
            if (std::filesystem::exists(path)) return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
        return false;
    }

private:
    std::string path_;
};

// Tasks.
inline int pass_gate(const std::string& path, int result) { return Gate::await(path) ? result : -1; }
inline void open_gate(const std::string& path) { std::ofstream(path).put('.'); }

}  // namespace multiproc::test
