// Who gets in and who does not, and that nobody spoils it for others.
#include <chrono>
#include <cstdint>
#include <exception>
#include <future>
#include <stdexcept>
#include <string>
#include <vector>

#include <multiproc/multiproc.hpp>
#include <multiproc/network.hpp>

#include "support/each_network.hpp"
#include "support/raw_socket.hpp"

namespace {

using namespace std::chrono_literals;
namespace mp = multiproc;
using mp::test::ByteVector;
using mp::test::RawListener;
using mp::test::RawSocket;

ByteVector filled(std::size_t count, unsigned char byte) { return ByteVector(count, std::byte{byte}); }

// What a handshake consists of, see src/network/handshake.hpp.
constexpr std::size_t hello_size = 64, answer_size = 96, verdict_size = 40, nonce_at = 32;

class NetworkHandshake : public mp::test::EachNetwork {
protected:
    // A listener that says what became of those it refused.
    mp::ListenerOptions options() {
        return {.key = key, .on_refused = [this](const mp::RefusedPeer& peer) {
                    EXPECT_TRUE(peer.address.starts_with("127.0.0.1:")) << peer.address;
                    try {
                        std::rethrow_exception(peer.error);
                    } catch (const mp::AuthenticationError&) {
                        refused.emplace_back("authentication");
                    } catch (const mp::ProtocolError&) {
                        refused.emplace_back("protocol");
                    } catch (const mp::TimeoutError&) {
                        refused.emplace_back("timeout");
                    } catch (const mp::NetworkError&) { refused.emplace_back("network"); }
                }};
    }
    // A peer with the key gets in, whatever came before.
    void expect_open(const mp::Listener& listener) {
        const auto [here, there] = mp::test::connect_to<int>(listener, key);
        there.send(7);
        EXPECT_EQ(here.recv(), 7);
    }
    // Lets the listener look at what is there.
    void expect_refused(const mp::Listener& listener, const std::vector<std::string>& why) {
        while (refused.size() < why.size()) {
            try {
                (void)listener.accept<int, int>(10ms);
                FAIL() << "somebody got in";
            } catch (const mp::TimeoutError&) {}
        }
        EXPECT_EQ(refused, why);
        refused.clear();
    }

    std::vector<std::string> refused;
};

void connect_with(const mp::AuthKey& key, std::uint16_t port) {
    (void)mp::connect<int, int>({.port = port, .key = key});
}

TEST_F(NetworkHandshake, a_wrong_key_fails_on_both_sides) {
    const mp::Listener listener(options());
    mp::Process process(connect_with, mp::AuthKey::random(), listener.port());
    process.start();
    expect_refused(listener, {"authentication"});
    EXPECT_THROW(process.result(), mp::AuthenticationError);  // which has travelled from the process
    expect_open(listener);
}

TEST_F(NetworkHandshake, a_listener_without_the_key_is_found_out) {
    RawListener impostor;
    auto client = std::async(std::launch::async, [&] { connect_with(key, impostor.port()); });
    // It passes on a real listener's hello, but cannot answer.
    const mp::Listener listener(options());
    RawSocket real(listener.port());
    auto accepting = std::async(std::launch::async, [&] { expect_refused(listener, {"network"}); });
    RawSocket raw = impostor.accept();
    raw.send(real.read(hello_size));
    EXPECT_EQ(raw.read(answer_size).size(), answer_size);
    real.close();
    accepting.get();
    ByteVector verdict = filled(verdict_size, 0);
    verdict[0] = std::byte{1};
    raw.send(verdict);
    EXPECT_THROW(client.get(), mp::AuthenticationError);
}

TEST_F(NetworkHandshake, a_bogus_hello_is_refused_and_costs_that_peer_only) {
    const mp::Listener listener(options());
    auto accepting = std::async(std::launch::async, [&] { expect_refused(listener, {"protocol", "protocol"}); });
    {
        RawSocket garbage(listener.port());
        garbage.try_send(filled(100'000, 0xa5));
        RawSocket huge(listener.port());
        ByteVector length = filled(hello_size, 0);
        length[4] = std::byte{1};  // 4 GiB, if it were a length
        huge.try_send(length);
        // Both are told nothing but the hello.
        EXPECT_LE(garbage.read_to_end().size(), hello_size);
        EXPECT_EQ(huge.read_to_end().size(), hello_size);
    }
    accepting.get();
    expect_open(listener);
}

TEST_F(NetworkHandshake, half_a_hello_and_the_end_or_silence) {
    mp::ListenerOptions impatient = options();
    impatient.handshake_timeout = 200ms;
    const mp::Listener listener(impatient);
    RawSocket silent(listener.port());
    silent.send(silent.read(0));
    auto accepting = std::async(std::launch::async, [&] {
        expect_refused(listener, {"network", "network", "timeout"});
    });
    {
        RawSocket leaving(listener.port());
        leaving.send(leaving.read(hello_size / 2));
    }
    { RawSocket nothing(listener.port()); }
    EXPECT_EQ(silent.read(hello_size).size(), hello_size);
    silent.send(filled(hello_size / 2, 0));
    EXPECT_TRUE(silent.read_to_end().empty());
    accepting.get();
    expect_open(listener);
}

TEST_F(NetworkHandshake, a_proof_is_good_once_and_for_its_side_only) {
    const mp::Listener listener(options());
    const mp::test::Middle<int> overheard(listener, key);
    auto accepting = std::async(std::launch::async, [&] {
        expect_refused(listener, {"authentication", "authentication"});
    });
    RawSocket replaying(listener.port());
    EXPECT_NE(replaying.read(hello_size), overheard.listener_hello);
    replaying.send(overheard.client_hello);
    const ByteVector refusal = replaying.read_to_end();
    ASSERT_EQ(refusal.size(), verdict_size);
    EXPECT_EQ(refusal, [] {
        ByteVector wrong_key = filled(verdict_size, 0);  // and no proof of the listener's
        wrong_key[0] = std::byte{2};
        return wrong_key;
    }());
    // The listener's own hello, and the proof that it has given another.
    RawSocket reflecting(listener.port());
    ByteVector reflected = reflecting.read(hello_size);
    reflected.insert(reflected.end(), overheard.verdict.end() - 32, overheard.verdict.end());
    reflecting.send(reflected);
    EXPECT_EQ(reflecting.read_to_end(), refusal);
    accepting.get();
    expect_open(listener);
}

TEST_F(NetworkHandshake, a_machine_with_other_types_or_another_version_is_told_so) {
    const mp::Listener listener(options());
    auto accepting = std::async(std::launch::async, [&] { expect_refused(listener, {"protocol", "protocol"}); });
    for (const std::size_t place : {8u, 16u}) {
        RawSocket other(listener.port());
        ByteVector hello = other.read(hello_size);
        hello[place] ^= std::byte{0xff};
        hello.resize(answer_size);
        other.send(hello);
        EXPECT_EQ(other.read_to_end().size(), verdict_size);
        // And the other way round: a client finds out by itself.
        RawListener raw;
        auto client = std::async(std::launch::async, [&] { connect_with(key, raw.port()); });
        RawSocket peer = raw.accept();
        hello.resize(hello_size);
        peer.send(hello);
        EXPECT_THROW(client.get(), mp::ProtocolError);
    }
    accepting.get();
}

TEST_F(NetworkHandshake, silent_peers_hold_up_nobody) {
    const mp::Listener listener(options());
    std::vector<RawSocket> silent;
    for (int i = 0; i < 40; ++i) silent.emplace_back(listener.port());  // more than may be at it at a time
    const auto begin = std::chrono::steady_clock::now();
    expect_open(listener);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 4s);  // before any of them has used up its time
    EXPECT_LE(refused.size(), 10u);
}

TEST_F(NetworkHandshake, a_client_knows_a_stranger_a_silent_one_and_nobody) {
    std::uint16_t port = 0;
    {
        RawListener raw;
        port = raw.port();
        auto client = std::async(std::launch::async, [&] { connect_with(key, port); });
        RawSocket stranger = raw.accept();
        stranger.try_send(filled(1000, 'H'));
        EXPECT_THROW(client.get(), mp::ProtocolError);
        EXPECT_THROW((void)(mp::connect<int, int>({.port = port, .key = key, .timeout = 100ms})), mp::TimeoutError);
        auto left = std::async(std::launch::async, [&] { connect_with(key, port); });
        (void)raw.accept();  // the one that gave up
        raw.accept().close();
        EXPECT_THROW(left.get(), mp::NetworkError);
    }
    EXPECT_THROW(connect_with(key, port), mp::NetworkError);
}

TEST_F(NetworkHandshake, listens_on_this_machine_alone_unless_told_otherwise) {
    const mp::Listener listener({.key = key});
    EXPECT_EQ(listener.address(), "127.0.0.1");
    EXPECT_NE(listener.port(), 0);
    // Another address of this machine is not listened at.
    EXPECT_THROW(
        (void)(mp::connect<int, int>({.address = "127.0.0.2", .port = listener.port(), .key = key, .timeout = 5s})),
        mp::Error);
    EXPECT_THROW(mp::Listener({.port = listener.port(), .key = key}), mp::NetworkError);
    const mp::Listener by_name({.address = "localhost", .key = key});
    EXPECT_NE(by_name.port(), listener.port());
    EXPECT_THROW(mp::Listener({.address = "no.such.name.invalid", .key = key}), mp::NetworkError);
}

TEST_F(NetworkHandshake, options_that_make_no_sense_are_refused) {
    mp::AuthKey moved = key;
    const mp::AuthKey taken = std::move(moved);
    EXPECT_THROW(mp::Listener({.key = moved}), std::invalid_argument);  // NOLINT(bugprone-use-after-move)
    EXPECT_THROW(mp::Listener({.address = "", .key = key}), std::invalid_argument);
    EXPECT_THROW(mp::Listener({.key = key, .max_handshakes = 0}), std::invalid_argument);
    EXPECT_THROW(connect_with(key, 0), std::invalid_argument);
    EXPECT_THROW(connect_with(moved, 1), std::invalid_argument);
}

TEST_F(NetworkHandshake, accept_keeps_its_deadline_and_is_woken_by_close) {
    const mp::Listener listener({.key = key});
    EXPECT_THROW((void)(listener.accept<int, int>(0s)), mp::TimeoutError);
    EXPECT_THROW((void)(listener.accept<int, int>(20ms)), mp::TimeoutError);
    std::vector<std::future<void>> waiting;
    for (int i = 0; i < 3; ++i)
        waiting.push_back(std::async(std::launch::async,
                                     [&] { EXPECT_THROW((void)(listener.accept<int, int>()), mp::ClosedError); }));
    EXPECT_THROW((void)(listener.accept<int, int>(50ms)), mp::TimeoutError);
    listener.close();
    waiting.clear();
    EXPECT_TRUE(listener.closed());
    EXPECT_THROW((void)(listener.accept<int, int>()), mp::ClosedError);
    EXPECT_THROW(connect_with(key, listener.port()), mp::NetworkError);
}

}  // namespace
