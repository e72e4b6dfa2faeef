#include "run_program.hpp"

namespace multiproc::test {

std::string program_path(const std::string& name) {
    return std::string(MULTIPROC_TEST_PROGRAM_DIR) + "/" + name + MULTIPROC_TEST_PROGRAM_SUFFIX;
}

Program::Program(const std::string& path, const ProgramOptions& options) {
    const StartedProgram started = start_program(path, options);
    pid_ = started.pid;
    process_ = started.process;
    out_.handle = started.out;
    err_.handle = started.err;
    start_reading(out_);
    start_reading(err_);
}

Program::~Program() {
    if (!finished_) finish(std::chrono::milliseconds(0));
}

void Program::start_reading(Stream& stream) {
    stream.reader = std::thread([this, &stream] {
        char block[4096];
        while (const std::size_t count = read_stream(stream.handle, block, sizeof block)) {
            const std::lock_guard lock(mutex_);
            stream.text.append(block, count);
            changed_.notify_all();
        }
        const std::lock_guard lock(mutex_);
        stream.ended = true;
        changed_.notify_all();
    });
}

std::string Program::read_line(std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    std::size_t end = std::string::npos;
    changed_.wait_for(lock, patience, [&] {
        end = out_.text.find('\n', lines_read_to_);
        return end != std::string::npos || out_.ended;
    });
    if (end == std::string::npos) return {};
    std::string line = out_.text.substr(lines_read_to_, end - lines_read_to_);
    lines_read_to_ = end + 1;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    return line;
}

void Program::kill() { kill_program(process_); }
void Program::interrupt() { interrupt_program_and_family(pid_); }

ProgramResult Program::finish(std::chrono::milliseconds patience) {
    ProgramResult result;
    const auto deadline = std::chrono::steady_clock::now() + patience;
    bool ended = false;
    {
        std::unique_lock lock(mutex_);
        ended = changed_.wait_until(lock, deadline, [this] { return out_.ended && err_.ended; });
    }
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    result.timed_out = !ended || !wait_program(process_, left, result.status);
    if (result.timed_out) {
        kill_program_and_family(process_);
        wait_program(process_, std::chrono::hours(1), result.status);
    }
    finished_ = true;
    for (Stream* stream : {&out_, &err_}) {
        stream->reader.join();
        close_stream(stream->handle);
    }
    result.out = std::move(out_.text);
    result.err = std::move(err_.text);
    return result;
}

ProgramResult run_program(const std::string& path, const ProgramOptions& options, std::chrono::milliseconds patience) {
    return Program(path, options).finish(patience);
}

}  // namespace multiproc::test
