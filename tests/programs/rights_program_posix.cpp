// Changes its own rights and starts children. Arguments: the mode, the start method, and what the mode says.
#include <dirent.h>
#include <grp.h>
#include <signal.h>
#include <unistd.h>

#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>

#include <multiproc/multiproc.hpp>

#if defined(__linux__)
#include <sys/prctl.h>
#endif

namespace {

namespace mp = multiproc;

constexpr uid_t nobody = 65534;

// What this process may do, as text.
std::string rights() {
    std::string text = "user " + std::to_string(::geteuid()) + " group " + std::to_string(::getegid()) + " groups";
    gid_t groups[64];
    const int count = ::getgroups(64, groups);
    for (int i = 0; i < count; ++i) text += ' ' + std::to_string(groups[i]);
#if defined(__linux__)
    text += " no_new_privs " + std::to_string(::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
#endif
    return text;
}

std::string rights_of_child(mp::StartMethod method) {
    mp::Process p(mp::ProcessOptions{.start_method = method}, rights);
    p.start();
    return p.result();
}

std::int64_t parent_in_the_system() { return ::getppid(); }

std::string directory() {
    char text[PATH_MAX];
    return ::getcwd(text, sizeof text) != nullptr ? text : "nowhere";
}

// For good. Without the right to do so the program stays who it is.
void become_nobody() {
    if (::geteuid() != 0) return;
    if (::setgroups(0, nullptr) != 0 || ::setgid(nobody) != 0 || ::setuid(nobody) != 0) std::exit(3);
}

int run(const std::string& mode, const std::string& argument) {
    if (mode == "start") {
        std::cout << rights_of_child(mp::StartMethod::automatic) << '\n';
    } else if (mode == "effective") {
        if (::geteuid() == 0 && ::seteuid(nobody) != 0) return 3;
        std::cout << rights_of_child(mp::StartMethod::automatic) << '\n';
    } else if (mode == "grandchild") {
        rights_of_child(mp::StartMethod::forkserver);
        become_nobody();
        mp::Process p(rights_of_child, mp::StartMethod::forkserver);
        p.start();
        std::cout << (p.result() == rights() ? "the same\n" : "others: " + p.result() + '\n');
    } else if (mode == "drops") {
        const gid_t groups[] = {4, 27};
        if (::geteuid() == 0 && ::setgroups(2, groups) != 0) return 3;
        if (rights_of_child(mp::StartMethod::automatic) != rights()) std::cout << "others before\n";
        if (::geteuid() == 0 && ::setgroups(0, nullptr) != 0) return 3;
#if defined(__linux__) && !defined(MULTIPROC_PORTABLE_POSIX)
        ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
#endif
        const std::string found = rights_of_child(mp::StartMethod::automatic);
        std::cout << (found == rights() ? "the same\n" : "others: " + found + '\n');
    } else if (mode == "alternates") {
        // A session's and a group's leader cannot change its group: without rights nothing alternates here.
        std::int64_t server = 0;
        for (int i = 0; i < 10; ++i) {
            if (::geteuid() == 0 && ::setgid(i % 2 == 0 ? 1000 : 2000) != 0) return 3;
            mp::Process p(mp::ProcessOptions{.start_method = mp::StartMethod::forkserver}, parent_in_the_system);
            p.start();
            const std::int64_t next = p.result();
            if (server != 0 && next != server) {
                for (int tries = 0; tries < 5000 && ::kill(static_cast<pid_t>(server), 0) == 0; ++tries) ::usleep(1000);
                if (::kill(static_cast<pid_t>(server), 0) == 0) std::cout << "a server stays\n";
            }
            server = next;
        }
        std::cout << "done\n";
    } else if (mode == "directory") {
        become_nobody();
        mp::Process p(mp::ProcessOptions{.cwd = argument}, directory);
        p.start();
        std::cout << p.result() << '\n';
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    mp::freeze_support();
    if (argc < 3) return 2;
    mp::set_start_method(mp::start_method_from(argv[2]));
    try {
        return run(argv[1], argc > 3 ? argv[3] : "");
    } catch (const mp::StartError& error) {
        std::cout << "StartError: " << error.what() << '\n';
        return 0;
    }
}
