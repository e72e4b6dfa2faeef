// The store of handles where the first process has closed its descriptors, or was not told that one is needed no more.
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
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

TEST(OsHandleStorePosix, of_a_program_that_has_closed_its_descriptors_says_so) {
    const auto first = HandleStore::create(is_wanted);
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
    // What it answers by is the last socket that was made before its other end.
    const int inside = static_cast<int>(first->handle()) - 1;
    struct stat facts {};
    ASSERT_EQ(::fstat(inside, &facts), 0);
    ASSERT_TRUE(S_ISSOCK(facts.st_mode));
    ::close(inside);
    const int another = ::dup(STDERR_FILENO);  // under that number
    EXPECT_EQ(another, inside);
    EXPECT_NE(error_of_keep(2).find("has closed descriptors"), std::string::npos);
    EXPECT_NE(error_of_keep(3).find("has closed descriptors"), std::string::npos);
    EXPECT_EQ(::close(another), 0) << "it was not touched";
}

}  // namespace
