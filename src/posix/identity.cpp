#include "identity.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string_view>

#include <multiproc/errors.hpp>

#include "descriptors.hpp"
#include "platform.hpp"

#if defined(__linux__)
#include <sys/auxv.h>
#endif

namespace multiproc::os::posix {

std::string read_own_status() {
#if defined(__linux__)
    // "thread-self" since a thread may have fewer rights than the first one.
    const int file = retry([] { return ::open("/proc/thread-self/status", O_RDONLY | O_CLOEXEC); });
    if (file < 0) return {};
    std::string text(4096, '\0');
    std::size_t size = 0;
    for (;;) {
        const ssize_t count = retry([&] { return ::read(file, text.data() + size, text.size() - size); });
        if (count <= 0) break;
        size += static_cast<std::size_t>(count);
        if (size == text.size()) text.resize(2 * size);  // it lists the groups, of which there may be thousands
    }
    ::close(file);
    text.resize(size);
    return text;
#else
    return {};
#endif
}

Identity Identity::current([[maybe_unused]] const std::string& own_status) {
    Identity result;
    struct stat root {};
    (void)::stat("/", &root);
    const auto number = [](auto value) { return static_cast<std::int64_t>(value); };
    result.numbers = {number(::getuid()),  number(::geteuid()), number(::getgid()),  number(::getegid()),
                      number(::getpgrp()), number(::getsid(0)), number(root.st_dev), number(root.st_ino)};
#if defined(__linux__)
    uid_t user = 0, effective_user = 0, saved_user = 0;
    gid_t group = 0, effective_group = 0, saved_group = 0;
    ::getresuid(&user, &effective_user, &saved_user);
    ::getresgid(&group, &effective_group, &saved_group);
    result.numbers[8] = number(saved_user);
    result.numbers[9] = number(saved_group);
#endif
    if (const int count = ::getgroups(0, nullptr); count > 0) {
        std::vector<gid_t> groups(static_cast<std::size_t>(count));
        if (::getgroups(count, groups.data()) == count) result.groups.assign(groups.begin(), groups.end());
    }
#if MULTIPROC_LINUX_CALLS
    for (const std::string_view field : {"\nCapInh:", "\nCapPrm:", "\nCapEff:", "\nCapBnd:", "\nCapAmb:",
                                         "\nNoNewPrivs:", "\nSeccomp:", "\nSeccomp_filters:"}) {
        const std::size_t begin = own_status.find(field);
        if (begin == std::string::npos) continue;
        result.limits += own_status.substr(begin, own_status.find('\n', begin + 1) - begin);
    }
#endif
    return result;
}

bool is_secure_process() noexcept {
#if defined(__linux__)
    return ::getauxval(AT_SECURE) != 0;
#else
    return ::issetugid() != 0;
#endif
}

void require_plain_rights() {
    if (!is_secure_process() && ::geteuid() == ::getuid() && ::getegid() == ::getgid()) return;
    throw StartError(
        "multiproc: a program with raised or temporarily changed rights cannot start children this way: they would "
        "have "
        "such rights too, and therefore not trust the environment that makes them children. Give the rights up or "
        "back first, or use the start method fork.");
}

bool has_same_user([[maybe_unused]] int socket) noexcept {
#if defined(__linux__)
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return true;
    return peer.uid == ::geteuid() && peer.gid == ::getegid();
#else
    uid_t user = 0;
    gid_t group = 0;
    if (::getpeereid(socket, &user, &group) != 0) return true;
    return user == ::geteuid() && group == ::getegid();
#endif
}

}  // namespace multiproc::os::posix
