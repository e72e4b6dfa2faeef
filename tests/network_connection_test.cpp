// Connections over TCP, between processes and threads.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <numeric>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <multiproc/multiproc.hpp>
#include <multiproc/network.hpp>

#include "support/die.hpp"
#include "support/each_network.hpp"

namespace {

using namespace std::chrono_literals;
namespace mp = multiproc;
using Clock = std::chrono::steady_clock;
using mp::test::connect_to;
using NetworkConnection = mp::test::EachNetwork;

void serve(mp::AuthKey key, std::uint16_t port) {
    const auto requests = mp::connect<std::string, std::size_t>({.port = port, .key = key});
    try {
        for (;;) requests.send(requests.recv().size());
    } catch (const mp::EndOfFile&) {}
}

TEST_F(NetworkConnection, carries_messages_both_ways_whole_and_in_order) {
    const mp::Listener listener({.key = key});
    mp::Process process(serve, key, listener.port());
    process.start();
    const auto here = listener.accept<std::size_t, std::string>(60s);
    EXPECT_TRUE(here.peer().starts_with("127.0.0.1:")) << here.peer();
    const std::vector<std::size_t> sizes{0, 1, 100, 65'000, 70'000, 300'000, 3'000'000};
    for (const std::size_t size : sizes) here.send(std::string(size, 'x'));
    for (const std::size_t size : sizes) EXPECT_EQ(here.recv(), size);
    here.close();
    process.result();
    EXPECT_TRUE(here.closed());
    EXPECT_THROW(here.send("late"), mp::ClosedError);
    EXPECT_THROW((void)here.recv(), mp::ClosedError);
    EXPECT_THROW((void)here.recv_for(0s), mp::ClosedError);
    EXPECT_THROW((void)here.poll(), mp::ClosedError);
    here.close();
}

TEST_F(NetworkConnection, a_process_can_listen) {
    auto [ours, its] = mp::pipe<std::uint16_t>();
    mp::Process process(
        [](mp::AuthKey secret, mp::Connection<std::uint16_t, std::uint16_t> port) {
            const mp::Listener listener({.key = secret});
            port.send(listener.port());
            const auto peer = listener.accept<int, int>();
            peer.send(peer.recv() + 1);
        },
        key, its);
    its.close();
    process.start();
    const auto peer = mp::connect<int, int>({.port = ours.recv(), .key = key});
    peer.send(41);
    EXPECT_EQ(peer.recv(), 42);
    process.result();
}

TEST_F(NetworkConnection, carries_64_megabytes_in_a_message) {
    const mp::Listener listener({.key = key});
    const auto [here, there] = connect_to<std::vector<std::uint32_t>>(listener, key);
    std::vector<std::uint32_t> numbers(16u << 20);
    std::iota(numbers.begin(), numbers.end(), 1u);
    auto sending = std::async(std::launch::async, [&there = there, &numbers] { there.send(numbers); });
    EXPECT_TRUE(here.recv() == numbers);
    sending.get();
}

TEST_F(NetworkConnection, ends_when_the_other_process_ends_or_is_killed) {
    const mp::Listener listener({.key = key});
    for (const bool is_killed : {false, true}) {
        mp::Process process(
            [](mp::AuthKey secret, std::uint16_t port, bool be_killed) {
                const auto mine = mp::connect<int, int>({.port = port, .key = secret});
                mine.send(1);
                mine.send(2);
                mine.recv();
                if (be_killed) mp::test::die(mp::test::Death::kill);
            },
            key, listener.port(), is_killed);
        process.start();
        const auto here = listener.accept<int, int>(60s);
        EXPECT_EQ(here.recv(), 1);
        here.send(0);
        process.join();
        // What it sent comes first, then the end, again and again.
        EXPECT_EQ(here.recv(), 2);
        EXPECT_THROW((void)here.recv(), mp::EndOfFile);
        EXPECT_THROW((void)here.recv_for(1h), mp::EndOfFile);
        EXPECT_TRUE(here.poll());
        EXPECT_TRUE(here.poll(std::nullopt));
        // The first may go out before the system knows that nobody is there.
        EXPECT_THROW(
            {
                for (int i = 0; i < 1'000'000; ++i) here.send(i);
            },
            mp::ClosedError);
        EXPECT_THROW((void)here.recv(), mp::EndOfFile);
    }
}

TEST_F(NetworkConnection, poll_never_takes_anything) {
    const mp::Listener listener({.key = key});
    const auto [a, b] = connect_to<std::string>(listener, key);
    EXPECT_FALSE(a.poll());
    const auto begin = Clock::now();
    EXPECT_FALSE(a.poll(60ms));
    EXPECT_GE(Clock::now() - begin, 60ms);
    EXPECT_EQ(a.recv_for(0s), std::nullopt);
    EXPECT_EQ(a.recv_for(-1s), std::nullopt);
    b.send("one");
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(a.poll(std::nullopt));
    EXPECT_FALSE(b.poll());
    EXPECT_EQ(a.recv(), "one");
    EXPECT_FALSE(a.poll());
    b.send("two");
    EXPECT_EQ(a.recv_for(60s), "two");
}

TEST_F(NetworkConnection, close_wakes_who_waits_there_and_tells_the_other_side) {
    const mp::Listener listener({.key = key});
    const auto [a, b] = connect_to<std::string>(listener, key);
    std::vector<std::future<void>> waiting;
    for (int i = 0; i < 2; ++i)
        waiting.push_back(std::async(std::launch::async, [&a = a] { EXPECT_THROW((void)a.recv(), mp::ClosedError); }));
    waiting.push_back(std::async(std::launch::async, [&a = a] { EXPECT_THROW((void)a.poll(1h), mp::ClosedError); }));
    EXPECT_FALSE(b.poll(100ms));
    a.close();
    waiting.clear();
    EXPECT_THROW((void)b.recv(), mp::EndOfFile);
    EXPECT_THROW(
        {
            for (int i = 0; i < 1'000'000; ++i) b.send("x");
        },
        mp::ClosedError);
}

TEST_F(NetworkConnection, both_sides_can_send_while_they_receive) {
    const mp::Listener listener({.key = key});
    const auto [a, b] = connect_to<std::string>(listener, key);
    const auto send_all = [](const mp::RemoteConnection<std::string, std::string>& end) {
        for (int i = 0; i < 20; ++i) end.send(std::string(1'000'000, static_cast<char>('a' + i)));
    };
    const auto receive_all = [](const mp::RemoteConnection<std::string, std::string>& end) {
        for (int i = 0; i < 20; ++i) {
            const std::string message = end.recv();
            EXPECT_EQ(message.size(), 1'000'000u);
            EXPECT_EQ(message.front(), static_cast<char>('a' + i));
        }
    };
    std::thread sender_a(send_all, std::cref(a)), sender_b(send_all, std::cref(b));
    std::thread receiver_a(receive_all, std::cref(a)), receiver_b(receive_all, std::cref(b));
    for (std::thread* thread : {&sender_a, &sender_b, &receiver_a, &receiver_b}) thread->join();
}

TEST_F(NetworkConnection, thirty_two_clients_at_a_time) {
    const mp::Listener listener({.key = key});
    constexpr int count = 32;
    std::vector<std::future<int>> clients;
    for (int i = 0; i < count; ++i)
        clients.push_back(std::async(std::launch::async, [&, i] {
            const auto mine = mp::connect<int, int>({.port = listener.port(), .key = key, .timeout = 60s});
            mine.send(i);
            return mine.recv();
        }));
    std::vector<mp::RemoteConnection<int, int>> accepted;
    for (int i = 0; i < count; ++i) accepted.push_back(listener.accept<int, int>(60s));
    for (const auto& client : accepted) client.send(client.recv() * 10);
    for (int i = 0; i < count; ++i) EXPECT_EQ(clients[static_cast<std::size_t>(i)].get(), i * 10);
}

TEST_F(NetworkConnection, what_lies_in_shared_memory_cannot_be_sent) {
    const mp::Listener listener({.key = key});
    const auto [locks, locks_there] = connect_to<mp::Lock>(listener, key);
    EXPECT_THROW(locks.send(mp::Lock()), mp::CodecError);
    const auto [queues, queues_there] = connect_to<std::vector<mp::Queue<int>>>(listener, key);
    EXPECT_THROW(queues.send({mp::Queue<int>()}), mp::CodecError);
    queues.send({});  // goes on
    EXPECT_TRUE(queues_there.recv().empty());
    const auto [arrays, arrays_there] = connect_to<mp::SharedArray<int>>(listener, key);
    try {
        arrays.send(mp::SharedArray<int>(10));
        FAIL() << "it was sent";
    } catch (const mp::CodecError& error) {
        EXPECT_NE(std::string(error.what()).find("memory of this machine"), std::string::npos) << error.what();
    }
}

TEST_F(NetworkConnection, a_message_that_is_too_long_is_not_sent) {
    const mp::Listener listener({.key = key});
    const auto [here, there] = connect_to<std::string>(listener, key, 1'000);
    EXPECT_THROW(there.send(std::string(1'000, 'x')), mp::CodecError);  // with its own length it is longer
    there.send(std::string(900, 'x'));
    EXPECT_EQ(here.recv().size(), 900u);
}

TEST_F(NetworkConnection, a_message_that_is_too_long_is_not_received) {
    const mp::Listener listener({.key = key});
    const auto [here, there] = connect_to<std::string>(listener, key, 1'000);
    here.send("short");
    here.send(std::string(1'001, 'x'));
    EXPECT_EQ(there.recv(), "short");
    EXPECT_THROW((void)there.recv(), mp::ProtocolError);
    EXPECT_THROW((void)there.recv(), mp::ProtocolError);
    EXPECT_THROW(there.send("x"), mp::ClosedError);
    EXPECT_THROW((void)here.recv(), mp::EndOfFile);
}

TEST_F(NetworkConnection, bytes_that_are_no_such_value_cost_that_message_only) {
    const mp::Listener listener({.key = key});
    auto client = std::async(std::launch::async,
                             [&] { return mp::connect<int, std::uint64_t>({.port = listener.port(), .key = key}); });
    const auto here = listener.accept<std::string, int>(60s);
    const auto there = client.get();
    there.send(1'000'000);  // taken for the length of a string
    there.send(0);
    EXPECT_THROW((void)here.recv(), mp::CodecError);
    EXPECT_EQ(here.recv(), "");
}

TEST_F(NetworkConnection, can_be_moved_and_outlives_its_listener) {
    std::optional<mp::Listener> listener(mp::Listener({.key = key}));
    auto [here, there] = connect_to<int>(*listener, key);
    listener->close();
    listener.reset();
    const auto moved = std::move(here);
    EXPECT_TRUE(here.closed());                        // NOLINT(bugprone-use-after-move)
    EXPECT_THROW((void)here.recv(), mp::ClosedError);  // NOLINT(bugprone-use-after-move)
    there.send(5);
    EXPECT_EQ(moved.recv(), 5);
}

// Waits for a client, then for its message, and is interrupted in both.
int accept_and_receive(mp::AuthKey key, mp::Queue<std::uint16_t> port, mp::Event interrupted) {
    mp::InterruptScope scope;
    const mp::Listener listener({.key = key});
    port.put(listener.port());
    try {
        listener.accept<int, int>();
    } catch (const mp::Interrupted&) {
        scope.rearm();
        interrupted.set();
    }
    const auto connection = listener.accept<int, int>();
    connection.send(1);
    try {
        return connection.recv();
    } catch (const mp::Interrupted&) {
        scope.rearm();
        connection.send(2);
    }
    return connection.recv();
}

TEST_F(NetworkConnection, ctrl_c_throws_from_accept_and_recv_which_can_be_called_again) {
    const mp::Queue<std::uint16_t> port;
    const mp::Event interrupted;
    mp::Process child(accept_and_receive, key, port, interrupted);
    child.start();
    const std::uint16_t number = port.get();
    child.interrupt();
    ASSERT_TRUE(interrupted.wait_for(60s));
    const auto connection = mp::connect<int, int>({.port = number, .key = key});
    EXPECT_EQ(connection.recv(), 1);
    child.interrupt();
    EXPECT_EQ(connection.recv(), 2);
    connection.send(42);
    EXPECT_EQ(child.result(), 42);
}

}  // namespace
