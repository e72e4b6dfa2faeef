#include "context.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__APPLE__)
#include <crt_externs.h>
#else
extern char** environ;  // NOLINT: POSIX wants it declared by its user
#endif

namespace multiproc::os::posix {

namespace {

#if defined(RLIM_NLIMITS)
constexpr int limit_count = RLIM_NLIMITS;
#else
constexpr int limit_count = 16;
#endif

using Limits = std::array<rlimit, static_cast<std::size_t>(limit_count)>;

// The fixed part of a context; the environment's strings follow, each with its terminating zero. It only travels
// between copies of one executable.
static_assert(limit_count <= 32);
struct Fixed {
    std::uint32_t mask = 0;
    std::uint32_t hangup_ignored = 0;
    std::uint32_t affinity_size = 0;  // 0 if unknown
    std::uint32_t entries = 0;
    std::uint32_t known_limits = 0;  // one bit for each
    std::uint32_t directory = 0;     // whether its name precedes the environment
    Limits limits{};
    std::array<unsigned char, 1024> affinity{};  // 8192 processors, as many as Linux can be built for
};

// Returns which are known, one bit for each.
std::uint32_t read_limits(Limits& limits) noexcept {
    std::uint32_t known = 0;
    for (int i = 0; i < limit_count; ++i) {
        // NOLINTNEXTLINE: glibc's C++ prototype wants its enumeration
        if (::getrlimit(static_cast<decltype(RLIMIT_CORE)>(i), &limits[static_cast<std::size_t>(i)]) == 0)
            known |= 1u << i;
    }
    return known;
}

// What note_own_context found.
struct Noted {
    std::vector<int> signals;
    Limits limits{};
    std::uint32_t known_limits = 0;
};
Noted* noted = nullptr;  // of a server, which has one thread; its children inherit it

bool read_fixed(const std::string& context, Fixed& fixed) {
    if (context.size() < sizeof fixed) return false;
    std::memcpy(&fixed, context.data(), sizeof fixed);
    return fixed.affinity_size <= fixed.affinity.size();
}

// POSIX can only tell the mask by changing it, which another thread's new file would see. Linux tells without.
mode_t file_creation_mask(const std::string& own_status) {
    if (const std::size_t line = own_status.find("\nUmask:"); line != std::string::npos)
        return static_cast<mode_t>(std::strtoul(own_status.c_str() + line + 7, nullptr, 8));
    const mode_t mask = ::umask(077);  // in the meantime nobody else may read a new file: too strict, never too lax
    ::umask(mask);
    return mask;
}

}  // namespace

char** environment() noexcept {
#if defined(__APPLE__)
    return *_NSGetEnviron();
#else
    return environ;
#endif
}

void set_environment(const std::vector<std::string>& entries) {
    // One block for the life of the process, as the environment of its start would be. It is never freed: setenv and
    // getenv of the program go on with it.
    std::size_t bytes = 0;
    for (const std::string& entry : entries) bytes += entry.size() + 1;
    char* const text = new char[bytes + 1];
    char** const table = new char*[entries.size() + 1];
    // Reachable for leak checkers, also when setenv has made another table. Volatile, since nobody reads it.
    [[maybe_unused]] static char** volatile kept = nullptr;
    kept = table;
    char* next = text;
    for (std::size_t i = 0; i < entries.size(); ++i) {
        table[i] = next;
        std::memcpy(next, entries[i].c_str(), entries[i].size() + 1);
        next += entries[i].size() + 1;
    }
    table[entries.size()] = nullptr;
#if defined(__APPLE__)
    *_NSGetEnviron() = table;
#else
    environ = table;
#endif
}

Handle open_directory(const std::optional<std::string>& path) {
#if defined(O_PATH)
    constexpr int flags = O_PATH | O_DIRECTORY | O_CLOEXEC;  // needs no right to read it
#else
    constexpr int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
#endif
    const std::string what = "entering the child's directory " + path.value_or(".");
    Handle directory;
    {
        DescriptorLock lock;
        const int fd = retry([&] { return ::open(path ? path->c_str() : ".", flags); });
        if (fd < 0 && !path) return Handle();
        directory = lock.own(fd, what.c_str());
    }
    // The child could say so on its standard error only.
    if (::faccessat(fd_of(directory), ".", X_OK, AT_EACCESS) != 0) fail(what.c_str());
    return directory;
}

std::string own_directory() {
    std::error_code error;
    std::string name = std::filesystem::current_path(error).string();
    if (error) throw std::system_error(error, "finding the directory of this process");
    return name;
}

std::string capture_context(const std::optional<std::vector<std::string>>& env, const std::string& own_status,
                            const std::string& directory) {
    Fixed fixed;
    fixed.mask = file_creation_mask(own_status);
    struct sigaction hangup {};
    ::sigaction(SIGHUP, nullptr, &hangup);
    fixed.hangup_ignored = hangup.sa_handler == SIG_IGN ? 1 : 0;
    fixed.known_limits = read_limits(fixed.limits);
#if defined(__linux__)
    if (::sched_getaffinity(0, fixed.affinity.size(), reinterpret_cast<cpu_set_t*>(fixed.affinity.data())) == 0) {
        fixed.affinity_size = static_cast<std::uint32_t>(fixed.affinity.size());
    }
#endif
    std::string text;
    fixed.directory = directory.empty() ? 0 : 1;
    if (fixed.directory != 0) text.append(directory.c_str(), directory.size() + 1);
    const auto append = [&](const char* entry) {
        text.append(entry, std::strlen(entry) + 1);
        ++fixed.entries;
    };
    if (env) {
        for (const std::string& entry : *env) append(entry.c_str());
    } else {
        for (char** entry = environment(); entry != nullptr && *entry != nullptr; ++entry) append(*entry);
    }
    std::string context(sizeof fixed, '\0');
    std::memcpy(context.data(), &fixed, sizeof fixed);
    return context + text;
}

bool ignores_hangup(const std::string& context) {
    Fixed fixed;
    return read_fixed(context, fixed) && fixed.hangup_ignored != 0;
}

std::optional<ContextText> text_of(const std::string& context) {
    Fixed fixed;
    if (!read_fixed(context, fixed)) return std::nullopt;
    ContextText text;
    std::size_t next = sizeof fixed;
    // The last one ends with the context, if its terminating zero is missing.
    const auto take = [&] {
        std::string word(context.c_str() + next);
        next += word.size() + 1;
        return word;
    };
    if (fixed.directory != 0) text.directory = take();
    for (std::uint32_t i = 0; i < fixed.entries && next < context.size(); ++i) text.environment.push_back(take());
    return text;
}

void apply_context(const std::string& context) {
    Fixed fixed;
    const std::optional<ContextText> text = text_of(context);
    if (!text || !read_fixed(context, fixed)) return;
    if (text->directory && ::chdir(text->directory->c_str()) != 0)
        fail(("entering the child's directory " + *text->directory).c_str());
    set_environment(text->environment);
    ::umask(static_cast<mode_t>(fixed.mask));
#if defined(__linux__)
    // Only where it differs: an affinity that was set no longer follows when the administrator gives the group more
    // processors.
    decltype(fixed.affinity) present_affinity{};
    if (fixed.affinity_size != 0 &&
        ::sched_getaffinity(0, present_affinity.size(), reinterpret_cast<cpu_set_t*>(present_affinity.data())) == 0 &&
        present_affinity != fixed.affinity) {
        ::sched_setaffinity(0, fixed.affinity_size, reinterpret_cast<const cpu_set_t*>(fixed.affinity.data()));
    }
#endif
    Limits own{};
    const std::uint32_t known_limits = noted != nullptr ? noted->known_limits : read_limits(own);
    if (noted != nullptr) own = noted->limits;
    for (int i = 0; i < limit_count; ++i) {
        const rlimit& wanted = fixed.limits[static_cast<std::size_t>(i)];
        const rlimit& present = own[static_cast<std::size_t>(i)];
        if ((fixed.known_limits & known_limits & (1u << i)) == 0) continue;
        const auto resource = static_cast<decltype(RLIMIT_CORE)>(i);
        if (present.rlim_cur == wanted.rlim_cur && present.rlim_max == wanted.rlim_max) continue;
        if (::setrlimit(resource, &wanted) == 0) continue;
        const rlimit soft{std::min(wanted.rlim_cur, present.rlim_max), present.rlim_max};
        ::setrlimit(resource, &soft);
    }
}

void note_own_context() {
    auto facts = std::make_unique<Noted>();
    facts->signals = changed_signals();
    facts->known_limits = read_limits(facts->limits);
    delete std::exchange(noted, facts.release());
}

std::vector<int> changed_signals() {
#if defined(NSIG)
    constexpr int count = NSIG;
#else
    constexpr int count = 65;
#endif
    std::vector<int> changed;
    for (int number = 1; number < count; ++number) {
        struct sigaction action {};
        if (number == SIGKILL || number == SIGSTOP || ::sigaction(number, nullptr, &action) != 0) continue;
        if (action.sa_handler != SIG_DFL) changed.push_back(number);
    }
    return changed;
}

std::vector<int> noted_signals() { return noted != nullptr ? noted->signals : changed_signals(); }

std::optional<std::uint64_t> process_limit_of(const std::string& context) {
    Fixed fixed;
    if (!read_fixed(context, fixed) || (fixed.known_limits & (1u << RLIMIT_NPROC)) == 0) return std::nullopt;
    return fixed.limits[static_cast<std::size_t>(RLIMIT_NPROC)].rlim_cur;
}

ProcessLimit::ProcessLimit(std::optional<std::uint64_t> wanted) {
    rlimit present{};
    if (!wanted || ::getrlimit(RLIMIT_NPROC, &present) != 0) return;
    const rlim_t possible = std::min(static_cast<rlim_t>(*wanted), present.rlim_max);
    if (possible == present.rlim_cur) return;
    before_ = present.rlim_cur;
    present.rlim_cur = possible;
    changed_ = ::setrlimit(RLIMIT_NPROC, &present) == 0;
}

ProcessLimit::~ProcessLimit() {
    rlimit present{};
    if (!changed_ || ::getrlimit(RLIMIT_NPROC, &present) != 0) return;
    present.rlim_cur = static_cast<rlim_t>(before_);
    ::setrlimit(RLIMIT_NPROC, &present);
}

}  // namespace multiproc::os::posix
