// A fork server's child that was made ahead of the start that uses it: nobody must be able to tell.
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "support/leftovers.hpp"
#include "support/with_fork_server.hpp"

namespace {

using namespace std::chrono_literals;
namespace mp = multiproc;
namespace test = mp::test;

class ProcessSpare : public test::WithForkServer {
protected:
    void SetUp() override {
        WithForkServer::SetUp();
        ASSERT_TRUE(test::holds_soon([this] { return spares().empty(); }));
    }
    // All that is below this process but the server.
    std::vector<pid_t> spares() const {
        std::vector<pid_t> found;
        for (const std::uint32_t pid : test::descendants())
            if (pid != static_cast<std::uint32_t>(server_)) found.push_back(static_cast<pid_t>(pid));
        return found;
    }
    static void start_some() {
        for (int i = 0; i < 3; ++i) {
            mp::Process p([] { return 1; });
            p.start();
            ASSERT_EQ(p.result(), 1);
        }
    }
};

TEST_F(ProcessSpare, waits_after_quick_starts_and_leaves_when_there_are_no_more) {
    // On a busy machine starts can be so far apart that none is made, or that it has left before it is looked for.
    const bool was_seen = test::holds_soon([&] {
        start_some();
        return !spares().empty();
    });
    EXPECT_TRUE(was_seen);
    EXPECT_TRUE(test::holds_soon([&] { return spares().empty(); }));
}

TEST_F(ProcessSpare, is_one_at_most) {
    for (int i = 0; i < 20; ++i) start_some();
    // One that was just used may not be reaped yet.
    EXPECT_TRUE(test::holds_soon([&] { return spares().size() <= 1; }, 150ms));
}

TEST_F(ProcessSpare, that_was_killed_is_not_missed) {
    for (const int number : {SIGKILL, SIGTERM, SIGINT, SIGHUP}) {
        for (int i = 0; i < 10; ++i) {
            start_some();
            for (const pid_t pid : spares()) ::kill(pid, number);
            // It may be used in the moment it is killed; then the one process that it became has been killed.
            mp::Process p([] { return 2; });
            p.start();
            p.join();
            if (p.exit_status() == mp::ExitStatus::exited(0)) {
                EXPECT_EQ(p.result(), 2);
            } else {
                EXPECT_EQ(p.exit_status(), mp::ExitStatus::signalled(static_cast<std::uint32_t>(number)));
            }
            mp::Process q([] { return 3; });
            q.start();
            EXPECT_EQ(q.result(), 3);
        }
    }
}

TEST_F(ProcessSpare, whose_server_was_killed_is_not_used) {
    for (int i = 0; i < 5; ++i) {
        start_some();
        server_ = server();
        kill_server();  // reaped, too: a moment before, a child of that server might be used yet
        const pid_t next = server();
        EXPECT_NE(next, server_);
        EXPECT_TRUE(test::is_running(static_cast<std::uint32_t>(next)));
        EXPECT_EQ(server(), next);
    }
}

struct Surroundings {
    std::string directory, variable;
    mode_t mask = 0;
    std::uint64_t limit = 0, processes = 0;
    friend bool operator==(const Surroundings&, const Surroundings&) = default;
};

Surroundings surroundings() {
    Surroundings found;
    found.directory = std::filesystem::current_path().string();
    if (const char* value = std::getenv("MULTIPROC_TEST_SPARE")) found.variable = value;
    found.mask = ::umask(0);
    ::umask(found.mask);
    rlimit limit{};
    ::getrlimit(RLIMIT_CORE, &limit);
    found.limit = limit.rlim_cur;
    ::getrlimit(RLIMIT_NPROC, &limit);
    found.processes = limit.rlim_cur;
    return found;
}

TEST_F(ProcessSpare, has_the_surroundings_of_the_start_that_uses_it) {
    const auto home = std::filesystem::current_path();
    const mode_t mask = ::umask(0);
    rlimit core{}, processes{};
    ASSERT_EQ(::getrlimit(RLIMIT_CORE, &core), 0);
    ASSERT_EQ(::getrlimit(RLIMIT_NPROC, &processes), 0);
    for (unsigned i = 0; i < 20; ++i) {
        std::filesystem::current_path(i % 2 == 0 ? home : home.root_path());
        ::umask(static_cast<mode_t>(i));
        ::setenv("MULTIPROC_TEST_SPARE", std::to_string(i).c_str(), 1);
        rlimit lower = core;
        lower.rlim_cur = std::min<rlim_t>(core.rlim_max, i);
        ::setrlimit(RLIMIT_CORE, &lower);
        lower = processes;
        lower.rlim_cur = std::min<rlim_t>(processes.rlim_max, 100'000 + i / 2);  // changes now and then
        ::setrlimit(RLIMIT_NPROC, &lower);
        mp::Process p([] { return surroundings(); });
        p.start();
        EXPECT_EQ(p.result(), surroundings()) << i;
    }
    std::filesystem::current_path(home);
    ::umask(mask);
    ::unsetenv("MULTIPROC_TEST_SPARE");
    ::setrlimit(RLIMIT_CORE, &core);
    ::setrlimit(RLIMIT_NPROC, &processes);
}

TEST_F(ProcessSpare, that_is_ended_right_after_the_start_is_reported_right) {
    for (int i = 0; i < 100; ++i) {
        mp::Process p([] { std::this_thread::sleep_for(1h); });
        p.start();
        if (i % 2 == 0) {
            p.terminate();
        } else {
            p.kill();
        }
        ASSERT_TRUE(p.join_for(1min));
        EXPECT_EQ(p.exit_status(),
                  mp::ExitStatus::signalled(static_cast<std::uint32_t>(i % 2 == 0 ? SIGTERM : SIGKILL)));
    }
}

TEST_F(ProcessSpare, serves_threads_that_start_at_once) {
    std::vector<std::thread> threads;
    std::atomic<int> sum = 0;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&sum] {
            for (int j = 0; j < 10; ++j) {
                mp::Process p([] { return 1; });
                p.start();
                sum += p.result();
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(sum, 40);
}

TEST_F(ProcessSpare, serves_a_child_that_starts_its_own) {
    mp::Process p([] {
        int sum = 0;
        for (int i = 0; i < 10; ++i) {
            mp::Process q([] { return 1; });
            q.start();
            sum += q.result();
        }
        return sum;
    });
    p.start();
    EXPECT_EQ(p.result(), 10);
}

}  // namespace
