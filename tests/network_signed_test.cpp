// Messages that somebody between the two sides has changed, cut, repeated or made up.
#include <chrono>
#include <cstddef>
#include <future>
#include <string>

#include <multiproc/network.hpp>

#include "support/each_network.hpp"
#include "support/raw_socket.hpp"

namespace {

namespace mp = multiproc;
using mp::test::ByteVector;
using Middle = mp::test::Middle<std::string>;

constexpr std::size_t head = 8, signature = 32;

class NetworkSigned : public mp::test::EachNetwork {
protected:
    // What the client sends, as it comes to the one in the middle.
    static ByteVector frame_of(Middle& middle, const std::string& text) {
        middle.there.send(text);
        return middle.to_client.read(head + 8 + text.size() + signature);
    }

    mp::Listener listener = mp::Listener({.key = key});
    Middle middle = Middle(listener, key);
};

TEST_F(NetworkSigned, untouched_messages_arrive) {
    for (const char* const text : {"one", "", "three"}) {
        middle.to_listener.send(frame_of(middle, text));
        EXPECT_EQ(middle.here.recv(), text);
    }
}

TEST_F(NetworkSigned, a_changed_message_is_refused) {
    ByteVector frame = frame_of(middle, "pay 10");
    frame[head + 8 + 4] = std::byte{'9'};
    middle.to_listener.send(frame);
    EXPECT_THROW((void)middle.here.recv(), mp::ProtocolError);
}

TEST_F(NetworkSigned, a_repeated_message_is_refused) {
    const ByteVector frame = frame_of(middle, "pay 10");
    middle.to_listener.send(frame);
    middle.to_listener.send(frame);
    EXPECT_EQ(middle.here.recv(), "pay 10");
    EXPECT_THROW((void)middle.here.recv(), mp::ProtocolError);
}

TEST_F(NetworkSigned, a_message_left_out_is_noticed) {
    (void)frame_of(middle, "do not");
    middle.to_listener.send(frame_of(middle, "pay 10"));
    EXPECT_THROW((void)middle.here.recv(), mp::ProtocolError);
}

TEST_F(NetworkSigned, a_message_sent_back_is_refused) {
    middle.to_client.send(frame_of(middle, "pay 10"));
    EXPECT_THROW((void)middle.there.recv(), mp::ProtocolError);
}

TEST_F(NetworkSigned, a_length_of_4_gigabytes_is_refused_at_once) {
    ByteVector frame = frame_of(middle, "x");
    frame[4] = std::byte{1};
    middle.to_listener.send(frame);
    EXPECT_THROW((void)middle.here.recv(), mp::ProtocolError);
}

TEST_F(NetworkSigned, a_message_cut_anywhere_says_so) {
    const std::size_t whole = head + 8 + 4 + signature;
    for (const std::size_t kept : {std::size_t{1}, head, head + 3, head + 12, whole - 1}) {
        Middle cutting(listener, key);
        ByteVector frame = frame_of(cutting, "text");
        ASSERT_EQ(frame.size(), whole);
        frame.resize(kept);
        cutting.to_listener.send(frame);
        EXPECT_EQ(cutting.here.recv_for(std::chrono::milliseconds(1)), std::nullopt);
        cutting.to_listener.close();
        EXPECT_THROW((void)cutting.here.recv(), mp::IncompleteMessage);
        EXPECT_THROW((void)cutting.here.recv(), mp::EndOfFile);
    }
    middle.to_listener.close();
    EXPECT_THROW((void)middle.here.recv(), mp::EndOfFile);
}

TEST_F(NetworkSigned, a_sender_that_waits_is_woken_by_close) {
    auto sending = std::async(
        std::launch::async, [this] { EXPECT_THROW(middle.there.send(std::string(50'000'000, 'x')), mp::ClosedError); });
    EXPECT_EQ(middle.to_client.read(1'000).size(), 1'000u);  // and no more, so the system's buffers fill up
    middle.there.close();
    sending.get();
    EXPECT_THROW(middle.there.send("x"), mp::ClosedError);
}

TEST_F(NetworkSigned, a_sender_that_waits_is_told_of_the_end) {
    auto sending = std::async(
        std::launch::async, [this] { EXPECT_THROW(middle.there.send(std::string(50'000'000, 'x')), mp::ClosedError); });
    EXPECT_EQ(middle.to_client.read(1'000).size(), 1'000u);
    middle.to_client.close();
    sending.get();
    EXPECT_THROW((void)middle.there.recv(), mp::EndOfFile);
}

TEST_F(NetworkSigned, a_message_that_comes_byte_by_byte_arrives_whole) {
    for (const std::byte byte : frame_of(middle, "slowly")) {
        EXPECT_EQ(middle.here.recv_for(std::chrono::nanoseconds(0)), std::nullopt);
        EXPECT_FALSE(middle.here.poll());
        middle.to_listener.send({&byte, 1});
    }
    EXPECT_EQ(middle.here.recv(), "slowly");
}

}  // namespace
