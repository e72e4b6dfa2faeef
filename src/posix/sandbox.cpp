// On Linux a sandbox is a filter for system calls (seccomp), made by libseccomp, and around it what else the kernel has:
// Landlock, limits, and no way to new rights. Other systems have none here; see the end of the file.
//
// The filter is a list of what is allowed; all the rest is an error of the system's, never a signal, since libraries
// handle errors. What is allowed works on what the process has already: its memory, threads and descriptors.
#include "../os.hpp"
#include "descriptors.hpp"
#include "platform.hpp"

#if MULTIPROC_LINUX_CALLS && defined(MULTIPROC_SECCOMP)
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <initializer_list>
#include <memory>
#include <string>

#include "launching.hpp"
#endif

namespace multiproc::os {

#if MULTIPROC_LINUX_CALLS && defined(MULTIPROC_SECCOMP)

namespace {

using namespace posix;

// ---- the filter ------------------------------------------------------------------------------------------------------

using Compare = scmp_arg_cmp;

Compare is(unsigned argument, std::uint64_t value) noexcept { return {argument, SCMP_CMP_EQ, value, 0}; }
// Of the bits in `mask` just those of `value` are set.
Compare has(unsigned argument, std::uint64_t mask, std::uint64_t value) noexcept {
    return {argument, SCMP_CMP_MASKED_EQ, mask, value};
}

class Filter {
public:
    Filter() : filter_(::seccomp_init(SCMP_ACT_ERRNO(EPERM))) {
        if (filter_ == nullptr) fail("seccomp_init", ENOMEM);
        // All threads, or none.
        check(::seccomp_attr_set(filter_.get(), SCMP_FLTATR_CTL_TSYNC, 1), "seccomp: all threads");
#if SCMP_VER_MAJOR > 2 || (SCMP_VER_MAJOR == 2 && SCMP_VER_MINOR >= 5)
        // A search tree, so that a call is looked up in a few steps. What cannot do it is only slower.
        ::seccomp_attr_set(filter_.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
#endif
    }

    void allow(std::initializer_list<const char*> names) { decide(SCMP_ACT_ALLOW, names, {}); }
    void allow(const char* name, std::initializer_list<Compare> conditions) {
        decide(SCMP_ACT_ALLOW, {name}, conditions);
    }
    void refuse(int error, std::initializer_list<const char*> names) {
        decide(SCMP_ACT_ERRNO(static_cast<unsigned>(error)), names, {});
    }
    void refuse(int error, const char* name, std::initializer_list<Compare> conditions) {
        decide(SCMP_ACT_ERRNO(static_cast<unsigned>(error)), {name}, conditions);
    }
    void load() { check(::seccomp_load(filter_.get()), "seccomp"); }

private:
    static void check(int result, const char* what) {
        if (result < 0) fail(what, -result);
    }
    void decide(std::uint32_t action, std::initializer_list<const char*> names,
                std::initializer_list<Compare> conditions) {
        for (const char* name : names) {
            const int number = ::seccomp_syscall_resolve_name(name);
            if (number == __NR_SCMP_ERROR) continue;  // this library does not know it, so it stays refused
            const int result = ::seccomp_rule_add_array(filter_.get(), action, number,
                                                        static_cast<unsigned>(conditions.size()), conditions.begin());
            if (result != -EDOM) check(result, name);  // that: this processor has no such call
        }
    }

    struct Release {
        void operator()(void* filter) const noexcept { ::seccomp_release(filter); }
    };
    std::unique_ptr<void, Release> filter_;
};

void allow_memory(Filter& filter) {
    filter.allow({"brk", "munmap", "mremap", "madvise", "msync", "mlock", "munlock", "membarrier"});
    // Memory that is executable would be a place for code that came with the data.
    for (const char* name : {"mmap", "mmap2", "mprotect", "pkey_mprotect"}) {
        filter.allow(name, {has(2, PROT_EXEC, 0)});
        filter.refuse(EACCES, name, {has(2, PROT_EXEC, PROT_EXEC)});
    }
    filter.allow({"memfd_create"});  // what large results travel in
}

void allow_threads(Filter& filter, std::uint64_t self) {
    filter.allow({"futex", "futex_time64", "futex_waitv", "futex_wait", "futex_wake", "set_robust_list", "rseq",
                  "set_tid_address", "gettid", "getpid", "getppid", "exit", "exit_group", "sched_yield",
                  "sched_getaffinity", "getcpu", "restart_syscall", "sched_get_priority_max",
                  "sched_get_priority_min"});
    filter.allow("clone", {has(0, CLONE_THREAD, CLONE_THREAD)});
    // Its flags are behind a pointer, where no filter can look: the C library then takes the other one.
    filter.refuse(ENOSYS, {"clone3"});
    filter.allow({"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait",
                  "rt_sigtimedwait_time64", "rt_sigsuspend", "sigaltstack", "sigreturn", "sigaction", "sigprocmask",
                  "pause"});
    // Itself only: for abort, and for the thread that ends this process with its parent.
    filter.allow("tgkill", {is(0, self)});
    filter.allow("kill", {is(0, self)});
    for (const int option : {PR_SET_NAME, PR_GET_NAME, 0x53564d41 /* PR_SET_VMA: names of memory, for /proc */})
        filter.allow("prctl", {is(0, static_cast<std::uint64_t>(option))});
}

void allow_descriptors(Filter& filter) {
    filter.allow({"read",       "readv",    "pread64",         "preadv", "write",       "writev",       "pwrite64",
                  "pwritev",    "lseek",    "_llseek",         "close",  "close_range", "dup",          "dup2",
                  "dup3",       "pipe2",    "eventfd2",        "poll",   "ppoll",       "ppoll_time64", "select",
                  "_newselect", "pselect6", "pselect6_time64", "fsync",  "fdatasync",   "fstat",        "fstat64"});
    // Handles to and from the parent. Without connect and bind there is nobody else to talk to.
    filter.allow({"sendmsg", "recvmsg"});
    // Not F_SETOWN and F_SETSIG, by which descriptors send signals to any process; nor F_SETFL, as the flags of standard
    // output are the parent's too.
    for (const int command : {F_GETFD, F_SETFD, F_GETFL, F_DUPFD, F_DUPFD_CLOEXEC, F_ADD_SEALS, F_GET_SEALS}) {
        filter.allow("fcntl", {is(1, static_cast<std::uint64_t>(command))});
        filter.allow("fcntl64", {is(1, static_cast<std::uint64_t>(command))});
    }
    // What streams ask a terminal. Not TIOCSTI, which types on it.
    for (const unsigned long request : {TCGETS, TIOCGWINSZ, FIONREAD}) filter.allow("ioctl", {is(1, request)});
    // Looks at the process's own limits, and changes none.
    filter.allow({"getrlimit", "ugetrlimit"});
    filter.allow("prlimit64", {is(0, 0), is(2, 0)});
}

void allow_facts(Filter& filter) {
    filter.allow({"clock_gettime",
                  "clock_gettime64",
                  "clock_getres",
                  "clock_getres_time64",
                  "clock_nanosleep",
                  "clock_nanosleep_time64",
                  "nanosleep",
                  "gettimeofday",
                  "time",
                  "times",
                  "getrusage",
                  "getrandom",
                  "getuid",
                  "geteuid",
                  "getgid",
                  "getegid",
                  "getuid32",
                  "geteuid32",
                  "getgid32",
                  "getegid32",
                  "uname",
                  "sysinfo"});
}

// Refused as a file is that one may not read, which is what programs know how to report.
void refuse_files(Filter& filter) {
    filter.refuse(EACCES, {"open",      "openat",     "openat2",   "creat",     "open_by_handle_at",
                           "stat",      "stat64",     "lstat",     "lstat64",   "newfstatat",
                           "fstatat64", "statx",      "access",    "faccessat", "faccessat2",
                           "readlink",  "readlinkat", "statfs",    "statfs64",  "unlink",
                           "unlinkat",  "rename",     "renameat",  "renameat2", "link",
                           "linkat",    "symlink",    "symlinkat", "mkdir",     "mkdirat",
                           "rmdir",     "mknod",      "mknodat",   "chmod",     "fchmodat",
                           "chown",     "lchown",     "fchownat",  "truncate",  "truncate64",
                           "utimensat", "chdir",      "fchdir",    "chroot",    "getcwd",
                           "getdents",  "getdents64", "execve",    "execveat"});
}

// ---- Landlock --------------------------------------------------------------------------------------------------------

// Of linux/landlock.h, which many systems have older than their kernel.
struct LandlockRules {
    std::uint64_t files;    // rights that are taken where no rule gives them, and there are none
    std::uint64_t network;  // from version 4 on
    std::uint64_t scoped;   // from version 6 on: abstract sockets and signals do not leave the domain
};
constexpr long landlock_create_ruleset = 444;  // the same numbers on every processor
constexpr long landlock_restrict_self = 446;

// A second wall behind the filter: for this thread and those it makes. A kernel that has none, or has it switched off,
// leaves it at the filter.
void restrict_by_landlock() noexcept {
    const long version = ::syscall(landlock_create_ruleset, nullptr, 0, 1u /* LANDLOCK_CREATE_RULESET_VERSION */);
    if (version < 1) return;
    LandlockRules rules{};
    const int files = version >= 5 ? 16 : version >= 3 ? 15 : version >= 2 ? 14 : 13;
    rules.files = (std::uint64_t{1} << files) - 1;
    std::size_t size = sizeof rules.files;
    if (version >= 4) {
        rules.network = 3;
        size += sizeof rules.network;
    }
    if (version >= 6) {
        rules.scoped = 3;
        size += sizeof rules.scoped;
    }
    const long fd = ::syscall(landlock_create_ruleset, &rules, size, 0);
    if (fd < 0) return;
    ::syscall(landlock_restrict_self, fd, 0);
    ::close(static_cast<int>(fd));
}

// ---- the rest --------------------------------------------------------------------------------------------------------

void set_limit(int what, rlim_t most, const char* name) {
    rlimit limit{};
    if (::getrlimit(static_cast<__rlimit_resource_t>(what), &limit) != 0) fail(name);
    limit.rlim_max = std::min(limit.rlim_max, most);
    limit.rlim_cur = std::min(limit.rlim_cur, limit.rlim_max);
    if (::setrlimit(static_cast<__rlimit_resource_t>(what), &limit) != 0) fail(name);
}

// Descriptors for messages under way, besides those that are open.
constexpr int spare_descriptors = 64;

// Not RLIMIT_FSIZE: it counts for shared memory, too, and a program that prints into a file would be killed for it.
void set_limits() {
    int last = STDERR_FILENO;
    for (const int fd : open_descriptors()) last = std::max(last, fd);
    set_limit(RLIMIT_NOFILE, static_cast<rlim_t>(last + 1 + spare_descriptors), "setrlimit(RLIMIT_NOFILE)");
    set_limit(RLIMIT_CORE, 0, "setrlimit(RLIMIT_CORE)");
    // A program that collects crashes is not bound by that limit. It runs with more rights than this process, and would
    // look into what strangers made.
    if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) fail("prctl(PR_SET_DUMPABLE)");
}

// Nothing of the library's leads out any more. (Starting processes was refused from the beginning: so there are no others.)
void forget_server() noexcept {
    Launching& state = launching();
    const std::lock_guard lock(state.server_mutex);
    state.server.door.reset();
    state.server.connection.reset();
}

// A terminal is open for reading too, mostly, whichever stream it stands for: what is typed there is not for a worker. If
// it cannot be opened anew (it is another user's), nothing is printed.
void stop_reading_terminals() {
    for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) {
        if (::isatty(stream) == 0) continue;
        Handle writes_only;
        {
            const std::string terminal = "/proc/self/fd/" + std::to_string(stream);
            DescriptorLock lock;
            int fd = ::open(terminal.c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC);
            if (fd < 0) fd = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
            writes_only = lock.own(fd, "open");
        }
        if (::dup2(fd_of(writes_only), stream) < 0) fail("dup2");
    }
}

// What libraries read from files when they first need it.
void read_ahead() noexcept { ::tzset(); }

}  // namespace

std::string sandbox_problem() {
    if (::prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0 &&
        ::syscall(SYS_seccomp, 1u /* SECCOMP_SET_MODE_FILTER */, 1u /* SECCOMP_FILTER_FLAG_TSYNC */, nullptr) == -1 &&
        errno == EFAULT)  // it would take a filter
        return {};
    return "this kernel, or the container around the program, has no filters for system calls (seccomp); allow them, "
           "or "
           "leave .sandbox out";
}

void enter_sandbox() {
    read_ahead();
    forget_server();
    stop_reading_terminals();
    set_limits();
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("prctl(PR_SET_NO_NEW_PRIVS)");
    Filter filter;
    allow_memory(filter);
    allow_threads(filter, static_cast<std::uint64_t>(::getpid()));
    allow_descriptors(filter);
    allow_facts(filter);
    refuse_files(filter);
    restrict_by_landlock();
    filter.load();
}

#else

std::string sandbox_problem() {
#if MULTIPROC_LINUX_CALLS
    return "this build of multiproc was made without libseccomp; install it (Debian and Ubuntu: libseccomp-dev) and "
           "build "
           "multiproc anew with -D MULTIPROC_SANDBOX=ON, or leave .sandbox out";
#elif defined(__linux__)
    return "this build of multiproc is the portable one (MULTIPROC_PORTABLE_POSIX), which has none; build it without "
           "that, "
           "or leave .sandbox out";
#else
    return "multiproc has none for this system, only for Linux and Windows; leave .sandbox out, and run the program in "
           "a "
           "container or virtual machine";
#endif
}

void enter_sandbox() { posix::fail("entering a sandbox", ENOSYS); }

#endif

}  // namespace multiproc::os
