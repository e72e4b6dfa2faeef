// Sockets stay in the process that made them, and copies of a process leave connections alone.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <vector>

#include <multiproc/multiproc.hpp>
#include <multiproc/network.hpp>

#include "support/each_network.hpp"

namespace {

namespace mp = multiproc;
using NetworkInheritance = mp::test::EachNetwork;

constexpr int most_descriptors = 1024;

// The sockets that this process has, by what names them in the system.
std::vector<std::uint64_t> sockets(bool inheritable_only) {
    std::vector<std::uint64_t> found;
    for (int fd = 0; fd < most_descriptors; ++fd) {
        struct stat status {};
        if (::fstat(fd, &status) != 0 || !S_ISSOCK(status.st_mode)) continue;
        if (inheritable_only && (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0) continue;
        found.push_back(status.st_ino);
    }
    return found;
}

TEST_F(NetworkInheritance, no_child_has_sockets_of_its_parent) {
    const std::vector<std::uint64_t> before = sockets(false);
    const std::vector<std::uint64_t> inheritable = sockets(true);
    const mp::Listener listener({.key = key});
    const auto [here, there] = mp::test::connect_to<int>(listener, key);
    EXPECT_EQ(sockets(true), inheritable);  // nor has a program that the host starts on its own
    std::vector<std::uint64_t> ours;
    for (const std::uint64_t socket : sockets(false))
        if (std::count(before.begin(), before.end(), socket) == 0) ours.push_back(socket);
    EXPECT_GE(ours.size(), 3u);

    mp::Process process(
        [](const std::vector<std::uint64_t>& not_to_have) {
            int count = 0;
            for (const std::uint64_t socket : sockets(false))
                count += static_cast<int>(std::count(not_to_have.begin(), not_to_have.end(), socket));
            return count;
        },
        ours);
    process.start();
    EXPECT_EQ(process.result(), 0);
}

TEST_F(NetworkInheritance, the_end_is_seen_at_once_though_a_child_runs) {
    const mp::Listener listener({.key = key});
    const auto [here, there] = mp::test::connect_to<int>(listener, key);
    auto [ours, its] = mp::pipe<int>();
    mp::Process process([](mp::Connection<int, int> until) { until.recv(); }, its);
    process.start();
    there.close();
    EXPECT_THROW((void)here.recv(), mp::EndOfFile);
    ours.send(1);
    process.result();
}

TEST_F(NetworkInheritance, a_copy_of_the_process_leaves_them_alone) {
    auto listener = std::make_unique<mp::Listener>(mp::ListenerOptions{.key = key});
    auto ends = std::make_unique<mp::test::BothEnds<int, int>>(mp::test::connect_to<int>(*listener, key));
    const pid_t copy = ::fork();
    ASSERT_NE(copy, -1);
    if (copy == 0) {
        const auto refuses = [](auto&& use) {
            try {
                use();
            } catch (const mp::ClosedError&) { return true; }
            return false;
        };
        const bool is_inert = refuses([&] { ends->here.send(1); }) && refuses([&] { (void)ends->there.recv(); }) &&
                              refuses([&] { (void)listener->accept<int, int>(); });
        ends->here.close();
        listener->close();
        ends.reset();
        listener.reset();
        ::_exit(is_inert ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(copy, &status, 0), copy);
    EXPECT_EQ(status, 0);
    ends->there.send(3);
    EXPECT_EQ(ends->here.recv_for(std::chrono::seconds(60)), 3);
    const auto [here, there] = mp::test::connect_to<int>(*listener, key);
    EXPECT_FALSE(here.poll());
}

}  // namespace
