// No child outlives its parent, whatever else has ended before or goes on.
#include "support/os_child.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#if defined(__linux__)
#include <sys/syscall.h>
#endif

namespace multiproc::os::test {
namespace {

class OsParentDeath : public testing::TestWithParam<StartMethod> {};

INSTANTIATE_TEST_SUITE_P(Methods, OsParentDeath, testing::ValuesIn(start_methods()),
                         [](const auto& method) { return name_of(method.param); });

StartMethod method_named(const std::string& name) {
    for (const StartMethod method : start_methods())
        if (name_of(method) == name) return method;
    return StartMethod::automatic;
}

OS_CHILD(tells_who_it_is) {
    args.stage.words[0] = static_cast<std::uint64_t>(::getpid());
    args.stage.words[1] = static_cast<std::uint64_t>(::getppid());
    args.stage.words[2] = 1;
    wait_for_the_end();
}

// Tells its child's pid and that one's system parent, and stays. With "copied" and "cloned" a copy of it stays too.
OS_CHILD(has_one_child) {
    const std::string text = text_of(args.stage);
    const std::string how = text.substr(0, text.find(' '));
    shut_down_launching();
    forget_launching();  // and with it the way to the server of its ancestors
    TestChild child(method_named(text.substr(text.find(' ') + 1)), "tells_who_it_is");
    if (!await_word(child.stage().words[2], 1)) return 1;
    pid_t copy = 0;
    if (how == "copied") copy = ::fork();
#if defined(__linux__)
    if (how == "cloned") copy = static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
#endif
    if (copy == 0 && how != "alone") {
        ::alarm(static_cast<unsigned>(patience.count()));
        for (;;) ::pause();
    }
    args.stage.words[0] = child.word(0);
    args.stage.words[1] = child.word(1);
    args.stage.words[3] = static_cast<std::uint64_t>(copy);
    args.stage.words[2] = 1;
    wait_for_the_end();
}

struct Family {
    explicit Family(const std::string& how, StartMethod method)
        : parent(StartMethod::spawn, "has_one_child", {.text = how + " " + name_of(method)}) {
        found = await_word(parent.stage().words[2], 1);
    }
    ~Family() {
        if (parent.word(3) != 0) ::kill(static_cast<pid_t>(parent.word(3)), SIGKILL);
    }
    std::uint32_t child() const { return static_cast<std::uint32_t>(parent.word(0)); }
    pid_t childs_system_parent() const { return static_cast<pid_t>(parent.word(1)); }

    TestChild parent;
    bool found = false;
};

TEST_P(OsParentDeath, EndsTheChild) {
    Family family("alone", GetParam());
    ASSERT_TRUE(family.found);
    ProcessWatch watch(family.child());
    family.parent.process().signal(Signal::kill);
    EXPECT_TRUE(watch.await_end());
}

#if !MULTIPROC_THREAD_SANITIZER  // which does not like what a copy of a process with threads does
TEST_P(OsParentDeath, EndsTheChildThoughACopyThatTheHostForkedLives) {
    Family family("copied", GetParam());
    ASSERT_TRUE(family.found);
    ProcessWatch watch(family.child());
    family.parent.process().signal(Signal::kill);
    EXPECT_TRUE(watch.await_end());
}

#if defined(__linux__)
TEST_P(OsParentDeath, EndsTheChildThoughACopyWithoutAnyHandlerLives) {
    Family family("cloned", GetParam());
    ASSERT_TRUE(family.found);
    ProcessWatch watch(family.child());
    family.parent.process().signal(Signal::kill);
    EXPECT_TRUE(watch.await_end());
}
#endif

TEST(OsParentDeathOfAServersChild, EndsItThoughTheServerIsGoneAndACopyOfTheParentLives) {
    Family family("copied", StartMethod::forkserver);
    ASSERT_TRUE(family.found);
    ProcessWatch watch(family.child());
    ProcessWatch server(static_cast<std::uint32_t>(family.childs_system_parent()));
    ASSERT_EQ(::kill(family.childs_system_parent(), SIGKILL), 0);
    ASSERT_TRUE(server.await_end());
    EXPECT_TRUE(is_running(family.child(), 0));
    family.parent.process().signal(Signal::kill);
    EXPECT_TRUE(watch.await_end());
}
#endif

TEST(OsParentDeathOfAServersChild, EndsItThoughTheServerEndsInTheSameMoment) {
    for (int i = 0; i < 10; ++i) {
        Family family("alone", StartMethod::forkserver);
        ASSERT_TRUE(family.found);
        ProcessWatch watch(family.child());
        ::kill(family.childs_system_parent(), SIGKILL);
        family.parent.process().signal(Signal::kill);
        EXPECT_TRUE(watch.await_end());
    }
}

// ---- with a child ahead of the next start ----------------------------------------------------------------------------

OS_CHILD(ends_at_once) { return 0; }

OS_CHILD(has_a_spare_child) {
    shut_down_launching();
    forget_launching();
    TestChild child(StartMethod::forkserver, "tells_who_it_is");
    if (!await_word(child.stage().words[2], 1)) return 1;
    args.stage.words[1] = child.word(1);
    // Each start asks for another, so there is one at the time of the end, or about to be.
    for (int i = 0; i < 5; ++i) {
        TestChild next(StartMethod::forkserver, "ends_at_once");
        if (next.wait() != ExitStatus::exited(0)) return 2;
    }
    args.stage.words[2] = 1;
    wait_for_the_end();
}

#if defined(__linux__)
std::vector<std::uint32_t> children_of(std::uint32_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children");
    std::vector<std::uint32_t> found;
    for (std::uint32_t child = 0; file >> child;) found.push_back(child);
    return found;
}

TEST(OsSpareChild, EndsWithItsOwner) {
    for (int i = 0; i < 5; ++i) {
        TestChild owner(StartMethod::spawn, "has_a_spare_child");
        ASSERT_TRUE(await_word(owner.stage().words[2], 1));
        const auto server_pid = static_cast<std::uint32_t>(owner.word(1));
        ProcessWatch server(server_pid);
        std::vector<ProcessWatch> all;
        for (const std::uint32_t pid : children_of(server_pid))
            if (is_running(pid, 0)) all.emplace_back(pid);
        owner.process().signal(Signal::kill);
        EXPECT_TRUE(server.await_end());
        for (ProcessWatch& watch : all) EXPECT_TRUE(watch.await_end());
    }
}

TEST(OsSpareChild, EndsWithItsServer) {
    TestChild owner(StartMethod::spawn, "has_a_spare_child");
    ASSERT_TRUE(await_word(owner.stage().words[2], 1));
    const auto server_pid = static_cast<std::uint32_t>(owner.word(1));
    const std::vector<std::uint32_t> pids = children_of(server_pid);
    ASSERT_FALSE(pids.empty());
    std::vector<ProcessWatch> spare;
    for (std::size_t i = 1; i < pids.size(); ++i)  // the first is the child that stays
        if (is_running(pids[i], 0)) spare.emplace_back(pids[i]);
    ::kill(static_cast<pid_t>(server_pid), SIGKILL);
    for (ProcessWatch& watch : spare) EXPECT_TRUE(watch.await_end());
    EXPECT_TRUE(is_running(pids.front(), 0));
    EXPECT_EQ(owner.exits(), 0);
}
#endif

}  // namespace
}  // namespace multiproc::os::test
