// What a fork server reads of its clients, and they of it: requests as a whole or not at all, and no pid that could not
// be a child's.
#include <fcntl.h>

#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "posix/context.hpp"
#include "posix/launching.hpp"
#include "posix/request_queue.hpp"

namespace {

using namespace multiproc::os;
using namespace multiproc::os::posix;

std::vector<unsigned char> request(RequestKind kind, const std::string& context, std::uint32_t descriptors = 0) {
    RequestHeader header;
    header.kind = kind;
    header.context_size = static_cast<std::uint32_t>(context.size());
    header.descriptors = descriptors;
    const auto* const begin = reinterpret_cast<const unsigned char*>(&header);
    std::vector<unsigned char> bytes(begin, begin + sizeof header);
    bytes.insert(bytes.end(), context.begin(), context.end());
    return bytes;
}

std::vector<Handle> descriptors(std::size_t count) {
    std::vector<Handle> handles;
    while (handles.size() < count)
        handles.push_back(Handle(static_cast<RawHandle>(::open("/dev/null", O_RDWR | O_CLOEXEC))));
    return handles;
}

TEST(OsForkServerMessages, a_request_in_pieces_is_one_request) {
    const std::vector<unsigned char> bytes = request(RequestKind::fork, "context", 2);
    RequestQueue queue;
    for (const unsigned char& byte : bytes) {
        EXPECT_FALSE(queue.next().has_value());
        queue.add({&byte, 1}, descriptors(&byte == &bytes.front() ? 3 : 0));
    }
    const std::optional<ReceivedRequest> found = queue.next();
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->context, "context");
    EXPECT_EQ(found->descriptors.size(), 2u);  // the third is the next one's
    EXPECT_FALSE(queue.next().has_value());
    EXPECT_TRUE(queue.is_sound());
}

TEST(OsForkServerMessages, what_is_no_request_is_the_last) {
    RequestHeader huge;
    huge.context_size = UINT32_MAX;
    RequestHeader unknown;
    unknown.kind = static_cast<RequestKind>(99);
    for (const RequestHeader& header : {huge, unknown}) {
        RequestQueue queue;
        queue.add({reinterpret_cast<const unsigned char*>(&header), sizeof header}, {});
        EXPECT_FALSE(queue.next().has_value());
        EXPECT_FALSE(queue.is_sound());
        queue.add(request(RequestKind::leave, ""), {});
        EXPECT_FALSE(queue.next().has_value());
    }
}

// A signal to it would reach every process of the user.
TEST(OsForkServerMessages, a_pid_that_is_no_childs_is_not_believed) {
    EXPECT_TRUE(check_reply({42, 0}, descriptors(1)).has_value());
    EXPECT_TRUE(check_reply({0, 11}, {}).has_value());
    EXPECT_TRUE(check_reply({0, 0}, {}).has_value());
    for (const std::int32_t pid : {-1, 1, -42}) EXPECT_FALSE(check_reply({pid, 0}, {}).has_value()) << pid;
    EXPECT_FALSE(check_reply({42, 11}, {}).has_value());
    EXPECT_FALSE(check_reply({0, 0}, descriptors(1)).has_value());
}

TEST(OsForkServerMessages, a_context_is_read_to_its_end_and_no_further) {
    const std::string whole = capture_context(std::vector<std::string>{"A=1", "B=2"}, "\nUmask:\t0022\n", "/tmp");
    const std::optional<ContextText> text = text_of(whole);
    ASSERT_TRUE(text.has_value());
    EXPECT_EQ(text->directory, "/tmp");
    EXPECT_EQ(text->environment, (std::vector<std::string>{"A=1", "B=2"}));
    EXPECT_EQ(text_of(whole.substr(0, whole.size() - 2)).value().environment, (std::vector<std::string>{"A=1", "B="}));
    EXPECT_FALSE(text_of("short").has_value());
    EXPECT_FALSE(text_of(std::string(whole.size(), '\xff')).has_value());  // more processors than it can name
}

TEST(OsForkServerMessages, what_a_child_is_told_is_possible) {
    const Announcement child{Role::child, 42, 7, true, false, 6};
    const std::optional<Announcement> found = parse_announcement(child.text().c_str());
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->text(), child.text());
    EXPECT_EQ(found->count(), 9);
    for (const char* const text : {"", "1", "2 c 42 7 1 0 6", "1 x 42 7 1 0 6", "1 c -42 7 1 0 6", "1 c 42 7 2 0 6",
                                   "1 c 42 7 1 0 -6", "1 c 42 7 1 0 6 6", "1 c 42 7 1 0 1000000"})
        EXPECT_FALSE(parse_announcement(text).has_value()) << text;
}

}  // namespace
