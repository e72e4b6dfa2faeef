// What a pool's workers did when, written as a timeline in Chrome's trace format: it opens in Perfetto
// (ui.perfetto.dev) and in chrome://tracing, one row a worker, one box a task.
#pragma once

#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "task_ref.hpp"

namespace multiproc {

class PoolTrace {
public:
    // Throws std::system_error if the file cannot be written.
    explicit PoolTrace(std::string path);

    void add_worker(std::uint64_t serial, const std::string& name, std::uint32_t pid);
    // The row of the calling thread, for a pool that runs tasks where they are submitted.
    std::uint64_t row_of_this_thread();
    // Times are nanoseconds of the steady clock.
    void add_task(std::uint64_t worker, const TaskRef& task, std::uint64_t begun, std::uint64_t nanoseconds,
                  bool failed);
    // Writes the file, anew if it was written before. Throws std::system_error.
    void write() const;

private:
    struct Worker {
        std::uint64_t serial;
        std::string name;
        std::uint32_t pid;
    };
    struct Task {
        std::uint64_t worker;
        const TaskRef* task;
        std::uint64_t begun;
        std::uint64_t nanoseconds;
        bool failed;
    };
    std::string path_;
    std::uint64_t start_;
    std::vector<Worker> workers_;
    std::vector<std::thread::id> threads_;
    std::vector<Task> tasks_;
};

}  // namespace multiproc
