// Starting this executable afresh, and what it finds when it arrives.
//
// The child's descriptors have fixed numbers: 0 and 1 the null device, 2 the real standard error, then those that the
// variable MULTIPROC_BOOTSTRAP counts, in its order. Nothing else is inherited.
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
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
    void open_null(int fd, int flags) {
        check(::posix_spawn_file_actions_addopen(&actions_, fd, "/dev/null", flags, 0));
    }
    void change_directory(int fd) { check(::posix_spawn_file_actions_addfchdir_np(&actions_, fd)); }

    // Keeps out of the child what the program opened without O_CLOEXEC.
    void close_from([[maybe_unused]] int first) {
#if MULTIPROC_CLOSEFROM
        check(::posix_spawn_file_actions_addclosefrom_np(&actions_, first));
#elif !defined(__APPLE__)
        // What another thread opens from here on slips through. The child cannot make up for that: when its first line
        // of ours runs, static initialisers may have opened descriptors of its own.
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
        sigfillset(&all);
        sigdelset(&all, SIGKILL);
        sigdelset(&all, SIGSTOP);
        // A program under nohup wants its children to outlive the terminal too; anything else starts as it is by
        // default, so that a signal right after the start does what it does to a program, whatever this one set up for
        // itself.
        struct sigaction hangup {};
        ::sigaction(SIGHUP, nullptr, &hangup);
        if (hangup.sa_handler == SIG_IGN) sigdelset(&all, SIGHUP);
        ::posix_spawnattr_setsigdefault(&attributes_, &all);
        sigset_t mask;
        sigemptyset(&mask);
        if (role == Role::fork_server) sigaddset(&mask, SIGINT);  // until it can take it
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

std::vector<std::string> environment_of([[maybe_unused]] Role role, const Launch& request, std::string bootstrap) {
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
#if MULTIPROC_LINUX_CALLS
    // What the dynamic linker would look up when it is first called, each child would look up anew, and have a copy made
    // of the page that it is noted in. Children do not see the variable: they have their parent's environment.
    if (role == Role::fork_server) entries.emplace_back("LD_BIND_NOW=1");
#endif
    return entries;
}

std::uint64_t own_start_time() {
    static std::atomic<std::uint64_t> time{0};
    static std::atomic<std::uint32_t> owner{0};
    const std::uint32_t self = current_pid();
    if (owner.load(std::memory_order_acquire) != self) {
        time.store(start_time(self), std::memory_order_relaxed);
        owner.store(self, std::memory_order_release);
    }
    return time.load(std::memory_order_relaxed);
}

}  // namespace

pid_t spawn(Role role, const Launch& request, const Inheritance& inheritance) {
    require_plain_rights();
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

    const Announcement announcement{role,
                                    static_cast<long>(::getpid()),
                                    own_start_time(),
                                    has_door != 0,
                                    has_lifeline != 0,
                                    inheritance.handles.size()};
    std::vector<std::string> entries = environment_of(role, request, announcement.text());
    std::vector<char*> environment;
    for (std::string& entry : entries) environment.push_back(entry.data());
    environment.push_back(nullptr);
    const std::string program = program_of(request);
    std::string name = name_of_program(program);
    char* arguments[] = {name.data(), nullptr};
    const Attributes attributes(role);
    pid_t pid = -1;
    const int error =
        ::posix_spawn(&pid, program.c_str(), actions.get(), attributes.get(), arguments, environment.data());
    if (error != 0) fail(("starting " + name).c_str(), error);
    return pid;
}

std::string Announcement::text() const {
    char text[128];
    std::snprintf(text, sizeof text, "1 %c %ld %llu %d %d %zu", static_cast<char>(role), parent,
                  static_cast<unsigned long long>(parent_start), int{has_door}, int{has_lifeline}, handles);
    return text;
}

std::optional<Announcement> parse_announcement(const char* text) noexcept {
    Announcement result;
    char role = 0;
    unsigned long long start = 0;
    int has_door = 0, has_lifeline = 0, used = 0;
    if (std::sscanf(text, "1 %c %ld %llu %d %d %zu%n", &role, &result.parent, &start, &has_door, &has_lifeline,
                    &result.handles, &used) != 6 ||
        text[used] != '\0' || (role != 'c' && role != 's') || result.parent < 1 || (has_door | 1) != 1 ||
        (has_lifeline | 1) != 1 || result.handles > 100000) {
        return std::nullopt;
    }
    result.role = static_cast<Role>(role);
    result.parent_start = start;
    result.has_door = has_door != 0;
    result.has_lifeline = has_lifeline != 0;
    return result;
}

namespace {

// A program that a child starts before it took the variable away inherits the variable, but is not meant. It can be
// told by its parent: another than the one named, although that one lives. Any doubt counts as meant: who is meant and
// does not know would run main once more, and start children in its turn.
bool is_for_another(const Announcement& announced) noexcept {
    static std::atomic<long> known{0};
    if (known.load(std::memory_order_relaxed) == announced.parent) return true;
    if (static_cast<long>(::getppid()) == announced.parent || announced.parent_start == 0) return false;
    // The children of a process that ends get their new parent a moment before it counts as ended.
    constexpr int longest = 1000;
    for (int i = 0; i < longest; ++i) {
        if (!is_running(static_cast<std::uint32_t>(announced.parent), announced.parent_start)) return false;
        ::poll(nullptr, 0, 1);
    }
    known = announced.parent;
    return true;
}

[[noreturn]] void refuse(const char* why) noexcept {
    print_error(std::string("multiproc: this child process cannot begin: ") + why + "\n");
    exit_now(1);
}

}  // namespace

bool has_arrived() noexcept {
    const char* const text = std::getenv(variable);                       // NOLINT(concurrency-mt-unsafe)
    if (text == nullptr || text[0] < '0' || text[0] > '9') return false;  // not written by any version of this library
    const std::optional<Announcement> found = parse_announcement(text);
    if (is_secure_process()) {
        // The environment is the word of a user with fewer rights, so there is no child to be made of it. But if it may
        // be true, to go on as the program would start children in its turn, without end.
        if (found && static_cast<long>(::getppid()) == found->parent)
            refuse("a program with raised rights takes no orders from its environment");
        return false;
    }
    return !found || !is_for_another(*found);
}

std::optional<Arrival> take_arrival() {
    if (!has_arrived()) {
        ::unsetenv(variable);
        return std::nullopt;
    }
    const std::optional<Announcement> found = parse_announcement(std::getenv(variable));
    ::unsetenv(variable);
    // To go on as if this were no child would run main once more, and so start children in its turn.
    if (!found) refuse("it was started by another version of the library");
    for (int i = 0; i < found->count(); ++i) {
        if (!is_open(first_inherited + i)) refuse("what runs before main has closed the descriptors it was given");
    }
    int next = first_inherited;
    const auto take = [&] { return DescriptorLock().own_and_close_on_exec(next++, variable); };
    Arrival arrival;
    arrival.role = found->role;
    Bootstrap& bootstrap = arrival.bootstrap;
    bootstrap.parent_pid = static_cast<std::uint32_t>(found->parent);
    bootstrap.parent = take();
    Handle door, lifeline;
    if (found->has_door) door = take();
    if (found->has_lifeline) lifeline = take();
    bootstrap.out = take();
    for (std::size_t i = 0; i < found->handles; ++i) bootstrap.handles.push_back(take());
    Launching& state = launching();
    if (door) state.server.identity = Identity::current();
    state.server.door = std::move(door);
    state.lifeline = std::move(lifeline);
    return arrival;
}

}  // namespace multiproc::os::posix
