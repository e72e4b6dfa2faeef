// The store of handles where the first process has closed its descriptors, or was not told that one is needed no more.
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <system_error>

#include <gtest/gtest.h>

#include "os.hpp"

namespace {

using namespace multiproc::os;

std::atomic<std::uint64_t> first_wanted{0};
bool is_wanted(std::uint64_t name) noexcept { return name >= first_wanted; }

TEST(OsHandleStorePosix, drops_by_itself_what_nobody_wants_any_more) {
    const auto first = HandleStore::create(is_wanted);
    const auto other = HandleStore::adopt(duplicate(first->handle()));
    const Segment segment = Segment::create(100);
    const std::size_t before = open_handle_count();
    for (std::uint64_t name = 0; name < 1000; ++name) {
        (void)other->keep(name, name, segment.handle());
        first_wanted = name < 5 ? 0 : name - 5;
    }
    EXPECT_LT(open_handle_count(), before + 100);
    (void)other->fetch(999, 0);
    (void)other->fetch(995, 0);
}

std::set<int> open_sockets() {
    std::set<int> sockets;
    struct stat facts {};
    for (int fd = 3; fd < 1024; ++fd)
        if (::fstat(fd, &facts) == 0 && S_ISSOCK(facts.st_mode)) sockets.insert(fd);
    return sockets;
}

TEST(OsHandleStorePosix, of_a_program_that_has_closed_its_descriptors_says_so) {
    const auto first = HandleStore::create(is_wanted);
    const std::set<int> others = open_sockets();
    const int outside = static_cast<int>(first->handle());
    std::set<int> made = open_sockets();
    std::erase_if(made, [&](int fd) { return fd == outside || others.contains(fd); });
    ASSERT_EQ(made.size(), 1u);
    const int inside = *made.begin();
    const auto other = HandleStore::adopt(duplicate(first->handle()));
    const Segment segment = Segment::create(100);
    const auto error_of_keep = [&](std::uint64_t name) {
        try {
            (void)other->keep(name, name, segment.handle());
            return std::string();
        } catch (const std::system_error& error) { return std::string(error.what()); }
    };
    first_wanted = 0;
    EXPECT_EQ(error_of_keep(1), "");
    ASSERT_EQ(::dup2(STDERR_FILENO, inside), inside);  // which closes it: another file has that number now
    EXPECT_NE(error_of_keep(2).find("has closed descriptors"), std::string::npos);
    EXPECT_NE(error_of_keep(3).find("has closed descriptors"), std::string::npos);
    EXPECT_EQ(::close(inside), 0) << "it was not touched";
}

}  // namespace
