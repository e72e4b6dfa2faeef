// A family is a session: whatever its processes do, and whoever their parents are by now, they can be told by it.
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <thread>

#if defined(__linux__)
#include <sys/prctl.h>
#endif

#include "../port.hpp"

namespace chaos::port {
namespace {

constexpr uid_t first_user = 1'000'000;

std::string executable() {
    char path[PATH_MAX] = {};
    if (::readlink("/proc/self/exe", path, sizeof path - 1) <= 0)
        throw std::system_error(errno, std::generic_category(), "cannot find this executable");
    return path;
}

struct Stat {
    std::string name;
    char state = 0;
    int parent = 0, session = 0;
};

// The name in parentheses may hold anything.
bool read_stat(const char* pid, Stat& stat) {
    char path[64], line[512];
    std::snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    const int descriptor = ::open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return false;
    const ssize_t size = ::read(descriptor, line, sizeof line - 1);
    ::close(descriptor);
    if (size <= 0) return false;
    line[size] = '\0';
    const char* const begin = std::strchr(line, '(');
    const char* const end = std::strrchr(line, ')');
    if (begin == nullptr || end == nullptr) return false;
    stat.name.assign(begin + 1, end);
    return std::sscanf(end + 1, " %c %d %*d %d", &stat.state, &stat.parent, &stat.session) == 3;
}

class SessionFamily final : public Family {
public:
    explicit SessionFamily(const StartOptions& options) {
        const std::string path = executable();
        std::vector<std::string> arguments{path};
        arguments.insert(arguments.end(), options.arguments.begin(), options.arguments.end());
        std::vector<char*> raw;
        for (std::string& argument : arguments) raw.push_back(argument.data());
        raw.push_back(nullptr);
        pid_ = ::fork();
        if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
        if (pid_ == 0) become(options, path.c_str(), raw.data());
    }

    std::uint32_t pid() const noexcept override { return static_cast<std::uint32_t>(pid_); }

    bool has_ended(multiproc::ExitStatus& status) override {
        int state = 0;
        if (::waitpid(pid_, &state, WNOHANG) != pid_) return false;
        status = WIFEXITED(state) ? multiproc::ExitStatus::exited(static_cast<std::uint32_t>(WEXITSTATUS(state)))
                                  : multiproc::ExitStatus::signalled(static_cast<std::uint32_t>(WTERMSIG(state)));
        return true;
    }

    std::vector<Member> members() override {
        std::vector<Member> found;
        const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/proc"), ::closedir);
        if (!directory) return found;
        while (const dirent* item = ::readdir(directory.get())) {
            Stat stat;
            if (item->d_name[0] < '1' || item->d_name[0] > '9' || !read_stat(item->d_name, stat)) continue;
            if (stat.session != pid_) continue;
            found.push_back({static_cast<std::uint32_t>(std::atoi(item->d_name)),
                             static_cast<std::uint32_t>(stat.parent), std::move(stat.name),
                             stat.state == 'Z' || stat.state == 'X'});
        }
        return found;
    }

    void strike(std::uint32_t pid, Strike strike) noexcept override {
        constexpr int signals[] = {SIGKILL, SIGTERM, SIGSTOP, SIGCONT};
        ::kill(static_cast<pid_t>(pid), signals[static_cast<std::size_t>(strike)]);
    }

    void end() override {
        for (;;) {
            bool is_alone = true;
            for (const Member& member : members()) {
                if (!member.is_zombie) ::kill(static_cast<pid_t>(member.pid), SIGKILL);
                // Those whose parents have died became children of the driver.
                if (::waitpid(static_cast<pid_t>(member.pid), nullptr, WNOHANG) == 0 || !member.is_zombie)
                    is_alone = false;
            }
            if (is_alone) return;
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
    }

    std::string dump() override;

private:
    [[noreturn]] static void become(const StartOptions& options, const char* path, char** arguments) {
        ::setsid();
        ::setenv("TMPDIR", options.directory.c_str(), 1);
        if (options.processes != 0) {
            const rlimit limit{options.processes, options.processes};
            const uid_t user = first_user + static_cast<uid_t>(::getpid());
            ::chmod(options.directory.c_str(), 0777);
            if (::setrlimit(RLIMIT_NPROC, &limit) != 0 || ::setgroups(0, nullptr) != 0 || ::setgid(user) != 0 ||
                ::setuid(user) != 0)
                ::_exit(3);
        }
        // A user's limit holds for root's children no more than for root.
        const int null = ::open("/dev/null", O_RDONLY);
        ::dup2(null, 0);
        if (options.errors != nullptr) ::dup2(::fileno(options.errors), 2);
        ::execv(path, arguments);
        ::_exit(4);
    }

    pid_t pid_ = -1;
};

std::string output_of(const std::string& command) {
    std::string text;
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
    if (!pipe) return text;
    char line[1024];
    while (std::fgets(line, sizeof line, pipe.get()) != nullptr) text += std::string("      ") + line;
    return text;
}

// Where each thread is, by the kernel's word, and by a debugger's if there is one.
std::string SessionFamily::dump() {
    std::string text;
    for (const Member& member : members()) {
        const std::string pid = std::to_string(member.pid);
        text += "    process " + pid + " (" + member.name + "), child of " + std::to_string(member.parent) +
                (member.is_zombie ? ", zombie\n" : "\n");
        if (member.is_zombie) continue;
        text += output_of("cd /proc/" + pid +
                          "/task 2>/dev/null && for t in *; do echo \"thread $t: $(cat $t/comm) $(cat $t/wchan) "
                          "$(grep State: $t/status)\"; done; command -v gdb >/dev/null && gdb -p " +
                          pid +
                          " -batch -ex 'set print frame-arguments scalars' -ex 'thread apply all bt 24' 2>/dev/null | "
                          "grep '^#\\|^Thread'");
    }
    return text;
}

}  // namespace

std::unique_ptr<Family> Family::start(const StartOptions& options) {
#if defined(__linux__)
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);  // so that the ends of orphans come here
#endif
    return std::make_unique<SessionFamily>(options);
}

}  // namespace chaos::port
