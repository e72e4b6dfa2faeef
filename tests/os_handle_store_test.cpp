// Handles that are left with the first process of a program.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include "os.hpp"

namespace {

using namespace multiproc::os;

bool is_any_wanted(std::uint64_t) noexcept { return true; }

class OsHandleStore : public testing::Test {
protected:
    // The second one is as other processes have it.
    std::unique_ptr<HandleStore> first = HandleStore::create(is_any_wanted);
    std::unique_ptr<HandleStore> other = HandleStore::adopt(duplicate(first->handle()));
};

Segment segment_with(char value) {
    Segment segment = Segment::create(1000);
    segment.data()[7] = static_cast<std::byte>(value);
    return segment;
}
char value_in(Handle handle) {
    const Segment segment = Segment::adopt(std::move(handle), 1000);
    return static_cast<char>(segment.data()[7]);
}

TEST_F(OsHandleStore, gives_anybody_what_anybody_has_left_there) {
    std::uint64_t name = 0;
    for (HandleStore* giver : {first.get(), other.get()}) {
        ++name;
        const std::uint64_t place = giver->keep(name, name, segment_with('a').handle());
        for (HandleStore* taker : {first.get(), other.get()}) {
            EXPECT_EQ(value_in(taker->fetch(name, place)), 'a');
            EXPECT_EQ(value_in(taker->fetch(name, place)), 'a') << "as often as it is asked for";
        }
        giver->drop(name, place);
    }
}

TEST_F(OsHandleStore, keeps_nothing_that_was_dropped) {
    { (void)other->fetch(1, other->keep(1, 1, segment_with('a').handle())); }
    other->drop(1, 0);
    const std::size_t before = open_handle_count();
    for (std::uint64_t name = 2; name < 50; ++name) {
        const std::uint64_t place = other->keep(name, name, segment_with('b').handle());
        other->drop(name, place);
    }
    (void)other->fetch(99, other->keep(99, 99, segment_with('c').handle()));  // after that the others are done
    // The thread that has answered may be about to close its end of that.
    const Deadline end = Clock::now() + std::chrono::seconds(10);
    while (open_handle_count() > before + 1 && Clock::now() < end) std::this_thread::yield();
    EXPECT_LE(open_handle_count(), before + 1);
}

TEST_F(OsHandleStore, what_is_not_there_is_an_error) {
    EXPECT_THROW((void)first->fetch(5, 0), std::system_error);
    EXPECT_THROW((void)other->fetch(5, 0), std::system_error);
    other->drop(5, 0);
    EXPECT_THROW((void)other->keep(5, 5, no_handle), std::system_error);
}

}  // namespace
