#include "pool_trace.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>

#include "os.hpp"

namespace multiproc {
namespace {

std::string json_text(std::string_view text) {
    std::string json = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') json += '\\';
        if (static_cast<unsigned char>(c) >= 0x20) {
            json += c;
        } else {
            char escape[8];
            std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(static_cast<unsigned char>(c)));
            json += escape;
        }
    }
    return json + '"';
}

// The format counts in microseconds; fractions are allowed.
std::string microseconds(std::uint64_t nanoseconds) {
    char text[32];
    std::snprintf(text, sizeof text, "%llu.%03u", static_cast<unsigned long long>(nanoseconds / 1000),
                  static_cast<unsigned>(nanoseconds % 1000));
    return text;
}

std::ofstream open(const std::string& path) {
    std::ofstream file(std::filesystem::path(std::u8string(path.begin(), path.end())), std::ios::trunc);
    if (!file) throw std::system_error(errno, std::generic_category(), "multiproc: cannot write the trace " + path);
    return file;
}

}  // namespace

PoolTrace::PoolTrace(std::string path)
    : path_(std::move(path)),
      start_(static_cast<std::uint64_t>(
          std::chrono::duration_cast<std::chrono::nanoseconds>(os::Clock::now().time_since_epoch()).count())) {
    write();  // valid at any time, also if the pool is never started
}

void PoolTrace::add_worker(std::uint64_t serial, const std::string& name, std::uint32_t pid) {
    workers_.push_back({serial, name, pid});
}

std::uint64_t PoolTrace::row_of_this_thread() {
    const auto mine = std::ranges::find(threads_, std::this_thread::get_id());
    const auto row = static_cast<std::uint64_t>(mine - threads_.begin()) + 1;
    if (mine == threads_.end()) {
        threads_.push_back(std::this_thread::get_id());
        add_worker(row, "thread " + std::to_string(row), os::current_pid());
    }
    return row;
}

void PoolTrace::add_task(std::uint64_t worker, const TaskRef& task, std::uint64_t begun, std::uint64_t nanoseconds,
                         bool failed) {
    tasks_.push_back({worker, &task, begun, nanoseconds, failed});
}

void PoolTrace::write() const {
    std::ofstream file = open(path_);
    const std::uint32_t pid = os::current_pid();
    file << "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n";
    file << "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":" << pid << ",\"args\":{\"name\":\"pool\"}}";
    for (const Worker& worker : workers_) {
        file << ",\n{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":" << pid << ",\"tid\":" << worker.serial
             << ",\"args\":{\"name\":" << json_text(worker.name + " (" + std::to_string(worker.pid) + ")") << "}}";
    }
    for (const Task& task : tasks_) {
        file << ",\n{\"ph\":\"X\",\"name\":" << json_text(task.task->name) << ",\"cat\":\"task\",\"pid\":" << pid
             << ",\"tid\":" << task.worker << ",\"ts\":" << microseconds(task.begun > start_ ? task.begun - start_ : 0)
             << ",\"dur\":" << microseconds(task.nanoseconds);
        if (task.failed) file << ",\"cname\":\"terrible\",\"args\":{\"failed\":true}";
        file << '}';
    }
    file << "\n]}\n";
    if (!file.flush())
        throw std::system_error(errno, std::generic_category(), "multiproc: cannot write the trace " + path_);
}

}  // namespace multiproc
