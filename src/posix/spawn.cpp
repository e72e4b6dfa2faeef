// Starting this executable afresh, and what it finds when it arrives.
//
// The child's descriptors have fixed numbers: 0 and 1 the null device, 2 the real standard error, then those that the
// variable MULTIPROC_BOOTSTRAP counts, in its order. Nothing else is inherited.
#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "context.hpp"
#include "launching.hpp"
#include "platform.hpp"
#include "process_end.hpp"

#if defined(__linux__)
#include <sys/auxv.h>
#endif

// addclosefrom_np came with glibc 2.34, addfchdir_np with 2.29. macOS has the latter and closes by an attribute.
#if MULTIPROC_LINUX_CALLS && defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 34)
#define MULTIPROC_CLOSEFROM 1
#endif
#endif
#ifndef MULTIPROC_CLOSEFROM
#define MULTIPROC_CLOSEFROM 0
#endif

namespace multiproc::os::posix {

namespace {

constexpr char variable[] = "MULTIPROC_BOOTSTRAP";
constexpr int first_inherited = 3;

class FileActions {
public:
    FileActions() { check(::posix_spawn_file_actions_init(&actions_)); }
    ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }
    FileActions(const FileActions&) = delete;
    FileActions& operator=(const FileActions&) = delete;

    void duplicate(int from, int to) { check(::posix_spawn_file_actions_adddup2(&actions_, from, to)); }
    void open_null(int fd, int flags) { check(::posix_spawn_file_actions_addopen(&actions_, fd, "/dev/null", flags, 0)); }
    void change_directory(int fd) { check(::posix_spawn_file_actions_addfchdir_np(&actions_, fd)); }

    // Keeps out of the child what the program opened without O_CLOEXEC.
    void close_from([[maybe_unused]] int first) {
#if MULTIPROC_CLOSEFROM
        check(::posix_spawn_file_actions_addclosefrom_np(&actions_, first));
#elif !defined(__APPLE__)
        // What another thread opens from here on slips through. The child cannot make up for that: when its first line of
        // ours runs, static initialisers may have opened descriptors of its own.
        for (const int fd : open_descriptors()) {
            const int flags = ::fcntl(fd, F_GETFD);
            if (fd < first || flags == -1 || (flags & FD_CLOEXEC) != 0) continue;
            check(::posix_spawn_file_actions_addclose(&actions_, fd));
        }
#endif
    }

    const posix_spawn_file_actions_t* get() const noexcept { return &actions_; }

    static void check(int error) {
        if (error != 0) fail("preparing posix_spawn", error);
    }

private:
    posix_spawn_file_actions_t actions_{};
};

class Attributes {
public:
    explicit Attributes(Role role) {
        FileActions::check(::posix_spawnattr_init(&attributes_));
        sigset_t all;
        ::sigfillset(&all);
        ::sigdelset(&all, SIGKILL);
        ::sigdelset(&all, SIGSTOP);
        // A program under nohup wants its children to outlive the terminal too; anything else starts as it is by default,
        // so that a signal right after the start does what it does to a program, whatever this one set up for itself.
        struct sigaction hangup {};
        ::sigaction(SIGHUP, nullptr, &hangup);
        if (hangup.sa_handler == SIG_IGN) ::sigdelset(&all, SIGHUP);
        ::posix_spawnattr_setsigdefault(&attributes_, &all);
        sigset_t mask;
        ::sigemptyset(&mask);
        if (role == Role::fork_server) ::sigaddset(&mask, SIGINT);  // until it can ignore it
        ::posix_spawnattr_setsigmask(&attributes_, &mask);
        int flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
#if defined(__APPLE__)
        flags |= POSIX_SPAWN_CLOEXEC_DEFAULT;
#endif
        ::posix_spawnattr_setflags(&attributes_, static_cast<short>(flags));
    }
    ~Attributes() { ::posix_spawnattr_destroy(&attributes_); }
    Attributes(const Attributes&) = delete;
    Attributes& operator=(const Attributes&) = delete;

    const posix_spawnattr_t* get() const noexcept { return &attributes_; }

private:
    posix_spawnattr_t attributes_{};
};

std::string program_of(const Launch& request) {
    // Relative to this process's directory, not to the child's.
    if (!request.executable.empty()) return std::filesystem::absolute(request.executable).string();
#if MULTIPROC_LINUX_CALLS
    // The kernel's link leads to the program that runs, also when its file was replaced or removed meanwhile.
    if (::access("/proc/self/exe", X_OK) == 0) return "/proc/self/exe";
#endif
    return executable_path();
}

std::string name_of_program(const std::string& program) {
    if (program != "/proc/self/exe") return program;
    try {
        return executable_path();
    } catch (const std::exception&) {
        return program;  // it was removed
    }
}

std::vector<std::string> environment_of(const Launch& request, std::string bootstrap) {
    std::vector<std::string> entries;
    const std::string_view prefix = "MULTIPROC_BOOTSTRAP=";
    const auto add = [&](std::string_view entry) {
        if (entry.substr(0, prefix.size()) != prefix) entries.emplace_back(entry);
    };
    if (request.env) {
        for (const std::string& entry : *request.env) add(entry);
    } else {
        for (char** entry = environment(); entry != nullptr && *entry != nullptr; ++entry) add(*entry);
    }
    entries.push_back(std::string(prefix) + std::move(bootstrap));
    return entries;
}

}  // namespace

pid_t spawn(Role role, const Launch& request, const Inheritance& inheritance) {
    std::vector<RawHandle> sources{inheritance.parent};
    const auto add_optional = [&](RawHandle handle) {
        if (handle != no_handle) sources.push_back(handle);
        return handle != no_handle ? 1 : 0;
    };
    const int has_door = add_optional(inheritance.door);
    const int has_lifeline = add_optional(inheritance.lifeline);
    sources.push_back(inheritance.out.raw());
    sources.insert(sources.end(), inheritance.handles.begin(), inheritance.handles.end());

    const int end = first_inherited + static_cast<int>(sources.size());
    FileActions actions;
    // A source whose number is another's target would be overwritten before its turn: those are moved out of the way.
    std::vector<Handle> moved;
    const auto move_out = [&](RawHandle source) {
        if (source >= end) return fd_of(source);
        moved.push_back(duplicate_above(source, end));
        return fd_of(moved.back());
    };
    std::vector<int> safe;
    for (const RawHandle source : sources) safe.push_back(move_out(source));
    const int err = move_out(inheritance.err.raw());
    Handle directory;
    if (request.cwd) {
        directory = open_directory(request.cwd);
        actions.change_directory(move_out(directory.raw()));
    }
    actions.open_null(STDIN_FILENO, O_RDONLY);
    actions.open_null(STDOUT_FILENO, O_WRONLY);
    actions.duplicate(err, STDERR_FILENO);
    for (std::size_t i = 0; i < safe.size(); ++i) actions.duplicate(safe[i], first_inherited + static_cast<int>(i));
    actions.close_from(end);

    char bootstrap[96];
    std::snprintf(bootstrap, sizeof bootstrap, "1 %c %ld %d %d %zu", static_cast<char>(role),
                  static_cast<long>(::getpid()), has_door, has_lifeline, inheritance.handles.size());
    std::vector<std::string> entries = environment_of(request, bootstrap);
    std::vector<char*> environment;
    for (std::string& entry : entries) environment.push_back(entry.data());
    environment.push_back(nullptr);
    const std::string program = program_of(request);
    std::string name = name_of_program(program);
    char* arguments[] = {name.data(), nullptr};
    const Attributes attributes(role);
    pid_t pid = -1;
    const int error = ::posix_spawn(&pid, program.c_str(), actions.get(), attributes.get(), arguments, environment.data());
    if (error != 0) fail(("starting " + name).c_str(), error);
    return pid;
}

namespace {

struct Announced {
    char role = 0;
    long parent = 0;
    int has_door = 0;
    int has_lifeline = 0;
    std::size_t handles = 0;

    int count() const noexcept { return 2 + has_door + has_lifeline + static_cast<int>(handles); }
};

const char* read_variable() noexcept {
    // In a program with other rights than its user's the environment is the user's word.
#if defined(__linux__)
    if (::getauxval(AT_SECURE) != 0) return nullptr;
#else
    if (::issetugid() != 0) return nullptr;
#endif
    return std::getenv(variable);  // NOLINT(concurrency-mt-unsafe)
}

std::optional<Announced> announced() noexcept {
    const char* const text = read_variable();
    Announced result;
    int used = 0;
    if (text == nullptr ||
        std::sscanf(text, "1 %c %ld %d %d %zu%n", &result.role, &result.parent, &result.has_door, &result.has_lifeline,
                    &result.handles, &used) != 5 ||
        text[used] != '\0' || (result.role != 'c' && result.role != 's') || (result.has_door | 1) != 1 ||
        (result.has_lifeline | 1) != 1 || result.handles > 100000) {
        return std::nullopt;
    }
    // A program that a child started before it took the variable away inherits the variable, but is not meant: the
    // process that is meant is the parent of another.
    const auto parent = static_cast<pid_t>(result.parent);
    if (::getppid() != parent && (::kill(parent, 0) == 0 || errno == EPERM)) return std::nullopt;
    for (int i = 0; i < result.count(); ++i) {
        if (!is_open(first_inherited + i)) return std::nullopt;
    }
    return result;
}

}  // namespace

bool has_arrived() noexcept { return announced().has_value(); }

std::optional<Arrival> take_arrival() {
    const std::optional<Announced> found = announced();
    ::unsetenv(variable);
    if (!found) return std::nullopt;
    int next = first_inherited;
    const auto take = [&] { return DescriptorLock().own_and_close_on_exec(next++, variable); };
    Arrival arrival;
    arrival.role = static_cast<Role>(found->role);
    Bootstrap& bootstrap = arrival.bootstrap;
    bootstrap.parent_pid = static_cast<std::uint32_t>(found->parent);
    bootstrap.parent = take();
    Handle door, lifeline;
    if (found->has_door != 0) door = take();
    if (found->has_lifeline != 0) lifeline = take();
    bootstrap.out = take();
    for (std::size_t i = 0; i < found->handles; ++i) bootstrap.handles.push_back(take());
    Launching& state = launching();
    state.door = std::move(door);
    state.lifeline = std::move(lifeline);
    return arrival;
}

}  // namespace multiproc::os::posix
