#include "../run_program.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <system_error>

extern char** environ;  // NOLINT: POSIX declares it nowhere on some systems

namespace multiproc::test {
namespace {

void pipe_of(int (&ends)[2]) {
    // Between these calls another thread could fork; test programs start one thing at a time.
    if (::pipe(ends) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
    for (const int end : ends) ::fcntl(end, F_SETFD, FD_CLOEXEC);
}

std::vector<std::string> environment_with(const std::vector<std::string>& more) {
    std::map<std::string, std::string> all;
    const auto add = [&all](const std::string& item) { all[item.substr(0, item.find('='))] = item; };
    for (char** item = environ; *item != nullptr; ++item) add(*item);
    for (const std::string& item : more) add(item);
    std::vector<std::string> list;
    for (auto& [name, item] : all) list.push_back(std::move(item));
    return list;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> list;
    for (std::string& text : texts) list.push_back(text.data());
    list.push_back(nullptr);
    return list;
}

}  // namespace

StartedProgram start_program(const std::string& path, const ProgramOptions& options) {
    int out[2], err[2];
    pipe_of(out);
    pipe_of(err);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_adddup2(&actions, err[1], 2);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);  // so that all of it can be killed
    std::vector<std::string> args{path};
    args.insert(args.end(), options.args.begin(), options.args.end());
    std::vector<std::string> env = environment_with(options.env);
    pid_t pid = -1;
    const int error =
        posix_spawn(&pid, path.c_str(), &actions, &attributes, pointers(args).data(), pointers(env).data());
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    ::close(out[1]);
    ::close(err[1]);
    if (error != 0) {
        ::close(out[0]);
        ::close(err[0]);
        throw std::system_error(error, std::generic_category(), "posix_spawn " + path);
    }
    return {static_cast<std::uint32_t>(pid), pid, out[0], err[0]};
}

std::size_t read_stream(std::intptr_t stream, char* block, std::size_t size) {
    ssize_t count = 0;
    do { count = ::read(static_cast<int>(stream), block, size); } while (count < 0 && errno == EINTR);
    return count > 0 ? static_cast<std::size_t>(count) : 0;
}

void close_stream(std::intptr_t stream) { ::close(static_cast<int>(stream)); }

bool wait_program(std::intptr_t process, std::chrono::milliseconds patience, ExitStatus& status) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    for (;;) {
        int state = 0;
        if (::waitpid(static_cast<pid_t>(process), &state, WNOHANG) > 0) {
            status = WIFEXITED(state) ? ExitStatus::exited(static_cast<std::uint32_t>(WEXITSTATUS(state)))
                                      : ExitStatus::signalled(static_cast<std::uint32_t>(WTERMSIG(state)));
            return true;
        }
        if (std::chrono::steady_clock::now() >= deadline) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));  // POSIX has no wait with a limit
    }
}

void kill_program(std::intptr_t process) { ::kill(static_cast<pid_t>(process), SIGKILL); }
void interrupt_program_and_family(std::uint32_t pid) { ::kill(-static_cast<pid_t>(pid), SIGINT); }
void kill_program_and_family(std::intptr_t process) { ::kill(-static_cast<pid_t>(process), SIGKILL); }

}  // namespace multiproc::test
