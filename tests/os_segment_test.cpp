// Anonymous shared memory.
#include "support/os_child.hpp"

#include <algorithm>
#include <system_error>

namespace multiproc::os::test {
namespace {

std::error_condition refusal(Handle handle, std::size_t size) {
    try {
        Segment::adopt(std::move(handle), size);
    } catch (const std::system_error& error) { return error.code().default_error_condition(); }
    return {};
}

TEST(OsSegment, IsZeroed) {
    const Segment segment = Segment::create(100000);
    ASSERT_TRUE(segment);
    EXPECT_EQ(segment.size(), 100000u);
    EXPECT_TRUE(
        std::all_of(segment.data(), segment.data() + segment.size(), [](std::byte b) { return b == std::byte(); }));
}

TEST(OsSegment, IsTheSameMemoryInTwoMappings) {
    const Segment first = Segment::create(4096);
    const Segment second = Segment::adopt(duplicate(first.handle()), 4096);
    EXPECT_NE(first.data(), second.data());
    first.data()[17] = std::byte(99);
    EXPECT_EQ(second.data()[17], std::byte(99));
}

TEST(OsSegment, MovesItsMapping) {
    Segment first = Segment::create(4096);
    std::byte* const data = first.data();
    Segment second = std::move(first);
    EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): moved-from is empty by contract
    EXPECT_EQ(second.data(), data);
    Segment third = Segment::create(4096);
    third = std::move(second);
    EXPECT_EQ(third.data(), data);
    EXPECT_EQ(third.size(), 4096u);
}

TEST(OsSegment, AHugeOneTakesPagesOnlyAsTheyAreTouched) {
    const std::size_t size = std::size_t(8) << 30;
    const Segment segment = Segment::create(size);
    segment.data()[size - 1] = std::byte(1);
    EXPECT_EQ(segment.data()[size - 1], std::byte(1));
}

TEST(OsSegment, AdoptRefusesOneThatIsTooSmall) {
    const Segment segment = Segment::create(4096);
    EXPECT_EQ(refusal(duplicate(segment.handle()), std::size_t(1) << 20), std::errc::bad_message);
}

TEST(OsSegment, AdoptRefusesWhatIsNoSharedMemory) {
    EXPECT_EQ(refusal(temporary_file(), 4096), std::errc::bad_message);
    EXPECT_EQ(refusal(Handle(), 4096), std::errc::bad_message);
}

TEST(OsSegment, LeavesNoHandleBehind) {
    {
        // The first refusal of a process may make what the system keeps for good.
        const Segment warm_up = Segment::create(4096);
        EXPECT_TRUE(refusal(duplicate(warm_up.handle()), std::size_t(1) << 30));
    }
    const std::size_t before = open_handle_count();
    for (int i = 0; i < 100; ++i) {
        const Segment segment = Segment::create(4096);
        const Segment again = Segment::adopt(duplicate(segment.handle()), 4096);
        EXPECT_TRUE(refusal(duplicate(segment.handle()), std::size_t(1) << 30));
    }
    EXPECT_EQ(open_handle_count(), before);
}

TEST(OsSegment, NothingIsNotASegment) {
    EXPECT_THROW(Segment::create(0), std::system_error);
    EXPECT_FALSE(Segment());
}

}  // namespace
TEST(OsSegment, CanBeMappedForReadingOnly) {
    const Segment first = Segment::create(4096);
    const Segment second = Segment::adopt(duplicate(first.handle()), 4096, Segment::Access::read);
    first.data()[17] = std::byte{42};
    EXPECT_EQ(second.data()[17], std::byte{42});
}

OS_CHILD(writes_where_it_may_only_read) {
    const Segment segment = Segment::create(4096);
    const Segment view = Segment::adopt(duplicate(segment.handle()), 4096, Segment::Access::read);
    args.stage.words[0] = 1;
    *reinterpret_cast<volatile std::byte*>(view.data()) = std::byte{1};
    return 0;
}

TEST(OsSegment, AWriteToOneMappedForReadingEndsTheProcess) {
    TestChild child(StartMethod::spawn, "writes_where_it_may_only_read");
    EXPECT_NE(child.wait(), ExitStatus::exited(0));
    EXPECT_EQ(child.word(0), 1u);
}

}  // namespace multiproc::os::test
