// Runs the programs of tests/programs, and anything else, as a user would: with its output caught and a limit on its
// time.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <multiproc/exit_status.hpp>

namespace multiproc::test {

struct ProgramOptions {
    std::vector<std::string> args = {};
    std::vector<std::string> env = {};  // "NAME=value", on top of this process's own
    bool has_own_console = false;       // so that `interrupt` reaches it; POSIX does without
};

struct ProgramResult {
    ExitStatus status;
    bool timed_out = false;  // it was killed, with what it had started
    std::string out, err;    // complete: whoever else held the streams has let go of them
};

// The path of a program made from tests/programs/<name>.cpp.
std::string program_path(const std::string& name);

// A running program. Its standard input is empty.
class Program {
public:
    // Throws std::system_error if it cannot be started.
    explicit Program(const std::string& path, const ProgramOptions& options = {});
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;
    ~Program();  // kills it

    std::uint32_t pid() const noexcept { return pid_; }
    // The next line that it prints, without its end. Empty at the end of its output or after `patience`.
    std::string read_line(std::chrono::milliseconds patience = std::chrono::seconds(60));
    // Kills it alone, and not what it started.
    void kill();
    // What Ctrl+C in its terminal does: reaches it and what it started. It must have its own console.
    void interrupt();
    // Waits for its end and for that of its streams.
    ProgramResult finish(std::chrono::milliseconds patience = std::chrono::seconds(60));

private:
    struct Stream {
        std::intptr_t handle = -1;
        std::string text;
        bool ended = false;
        std::thread reader;
    };
    void start_reading(Stream& stream);

    std::uint32_t pid_ = 0;
    std::intptr_t process_ = -1;
    bool finished_ = false;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::size_t lines_read_to_ = 0;
    Stream out_, err_;
};

ProgramResult run_program(const std::string& path, const ProgramOptions& options = {},
                          std::chrono::milliseconds patience = std::chrono::seconds(60));

// ---- what each platform does its own way ----

struct StartedProgram {
    std::uint32_t pid = 0;
    std::intptr_t process = -1, out = -1, err = -1;
};
StartedProgram start_program(const std::string& path, const ProgramOptions& options);
// 0 at the end.
std::size_t read_stream(std::intptr_t stream, char* block, std::size_t size);
void close_stream(std::intptr_t stream);
// Waits at most `patience`; fills `status` and lets go of the process when it has ended.
bool wait_program(std::intptr_t process, std::chrono::milliseconds patience, ExitStatus& status);
void kill_program(std::intptr_t process);
void interrupt_program_and_family(std::uint32_t pid);
void kill_program_and_family(std::intptr_t process);

}  // namespace multiproc::test
