// A manager's objects for programs that connect over TCP.
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <multiproc/multiproc.hpp>
#include <multiproc/remote_manager.hpp>

#include "network/manager_wire.hpp"
#include "support/each_network.hpp"
#include "support/gate.hpp"

namespace {

using namespace std::chrono_literals;
namespace mp = multiproc;
using NetworkManager = mp::test::EachNetwork;

// Opens a gate when it is destroyed; hands out what cannot leave the machine.
class Keeper {
public:
    explicit Keeper(std::string gate) : gate_(std::move(gate)) {}
    Keeper(const Keeper&) = delete;
    Keeper& operator=(const Keeper&) = delete;
    ~Keeper() { mp::test::open_gate(gate_); }
    mp::Lock lock() { return mp::Lock(); }
    int one() { return 1; }

private:
    std::string gate_;
};

}  // namespace

template <>
inline constexpr auto multiproc::methods<Keeper> =
    multiproc::method_list(multiproc::method<&Keeper::lock>("lock"), multiproc::method<&Keeper::one>("one"));

namespace {

struct Server {
    mp::AuthKey key = mp::AuthKey::random();
    mp::Manager manager;
    mp::ManagerService service{mp::ListenerOptions{.key = key}};
    mp::ConnectOptions there() const { return {.port = service.port(), .key = key}; }
};

int fill(std::uint16_t port, mp::AuthKey key) {
    const mp::RemoteManager remote({.port = port, .key = key});
    const auto dict = remote.get<mp::DictProxy<std::string, int>>("dict");
    dict["b"] = 2;
    dict.set("c", dict.at("a") + 2);
    return static_cast<int>(dict.size());
}

TEST_F(NetworkManager, another_program_uses_what_is_published) {
    Server server;
    const auto dict = server.manager.dict<std::string, int>({{"a", 1}});
    server.service.publish("dict", dict);
    mp::Process process(fill, server.service.port(), server.key);
    process.start();
    EXPECT_EQ(process.result(), 3);
    EXPECT_EQ(dict.repr(), "{'a': 1, 'b': 2, 'c': 3}");
    EXPECT_EQ(server.service.address(), "127.0.0.1");
}

TEST_F(NetworkManager, errors_arrive_with_their_types) {
    Server server;
    server.service.publish("list", server.manager.list({1, 2}));
    const mp::RemoteManager remote(server.there());
    const auto list = remote.get<mp::ListProxy<int>>("list");
    EXPECT_THROW(list.at(5), std::out_of_range);
    EXPECT_THROW(list.remove(7), std::invalid_argument);
    EXPECT_EQ(list.copy(), (std::vector{1, 2}));
    EXPECT_THROW(remote.get<mp::ListProxy<int>>("no such name"), std::out_of_range);
    EXPECT_THROW((remote.get<mp::DictProxy<int, int>>("list")), std::invalid_argument);
    EXPECT_TRUE(server.service.withdraw("list"));
    EXPECT_FALSE(server.service.withdraw("list"));
    EXPECT_THROW(remote.get<mp::ListProxy<int>>("list"), std::out_of_range);
    EXPECT_EQ(list.size(), 2u);  // who has it keeps it
}

TEST_F(NetworkManager, a_wrong_key_is_refused) {
    Server server;
    EXPECT_THROW(mp::RemoteManager({.port = server.service.port(), .key = mp::AuthKey::random()}),
                 mp::AuthenticationError);
    server.service.publish("list", server.manager.list({1}));
    EXPECT_EQ(mp::RemoteManager(server.there()).get<mp::ListProxy<int>>("list").size(), 1u);
}

TEST_F(NetworkManager, a_call_that_waits_holds_up_no_other) {
    Server server;
    const auto queue = server.manager.queue<int>();
    server.service.publish("queue", queue);
    const mp::RemoteManager remote(server.there());
    const auto far = remote.get<mp::QueueProxy<int>>("queue");
    std::thread waiting([&] { EXPECT_EQ(far.get(), 5); });
    EXPECT_EQ(far.qsize(), 0u);
    EXPECT_THROW(far.get_nowait(), mp::queue::Empty);
    far.put(5);
    waiting.join();
}

// Both locks are one client's: what it gives up is the call, not what it holds.
void interrupted_at_lock(std::uint16_t port, mp::AuthKey key, mp::Event ready, mp::Event interrupted) {
    const mp::RemoteManager remote({.port = port, .key = key});
    const auto mine = remote.get<mp::LockProxy>("mine"), others = remote.get<mp::LockProxy>("others");
    mine.lock();
    try {
        const mp::InterruptScope scope;
        ready.set();
        others.lock();
        throw std::runtime_error("it was not interrupted");
    } catch (const mp::Interrupted&) { interrupted.set(); }
    others.lock();
    others.unlock();
    mine.unlock();
}

TEST_F(NetworkManager, ctrl_c_throws_from_a_call_and_the_client_keeps_what_it_holds) {
    Server server;
    const auto mine = server.manager.lock(), others = server.manager.lock();
    server.service.publish("mine", mine);
    server.service.publish("others", others);
    const mp::Event ready, interrupted;
    others.lock();
    mp::Process client(interrupted_at_lock, server.service.port(), server.key, ready, interrupted);
    client.start();
    ASSERT_TRUE(ready.wait_for(60s));
    client.interrupt();
    ASSERT_TRUE(interrupted.wait_for(60s));
    others.unlock();
    client.result();
    EXPECT_TRUE(mine.try_lock());
    EXPECT_TRUE(others.try_lock());
}

void lock_and_die(std::uint16_t port, mp::AuthKey key, std::string gate) {
    const mp::RemoteManager remote({.port = port, .key = key});
    remote.get<mp::LockProxy>("lock").lock();
    mp::test::open_gate(gate);
    for (;;) std::this_thread::sleep_for(1h);
}

TEST_F(NetworkManager, a_client_that_is_killed_gives_its_locks_back) {
    Server server;
    const auto lock = server.manager.lock();
    server.service.publish("lock", lock);
    const mp::test::Gate gate;
    mp::Process process(lock_and_die, server.service.port(), server.key, gate.path());
    process.start();
    ASSERT_TRUE(gate.await());
    EXPECT_FALSE(lock.try_lock());
    process.kill();
    EXPECT_TRUE(lock.try_lock_for(30s));
    process.join();
}

void get_and_wait(std::uint16_t port, mp::AuthKey key, std::string gate) {
    const mp::RemoteManager remote({.port = port, .key = key});
    const auto queue = remote.get<mp::QueueProxy<int>>("queue");
    mp::test::open_gate(gate);
    (void)queue.get();
}

TEST_F(NetworkManager, a_client_that_is_killed_while_it_waits_takes_no_item_with_it) {
    Server server;
    const auto queue = server.manager.queue<int>();
    server.service.publish("queue", queue);
    const mp::test::Gate gate;
    mp::Process process(get_and_wait, server.service.port(), server.key, gate.path());
    process.start();
    ASSERT_TRUE(gate.await());
    process.kill();
    process.join();
    // Its call is given up when its end is noticed; what it took before that is lost with it, one item at most.
    std::optional<int> item;
    for (int i = 0; i < 300 && !item; ++i) {
        queue.put(i);
        item = queue.try_get_for(100ms);
    }
    EXPECT_LE(item.value(), 3);
}

TEST_F(NetworkManager, nested_proxies_come_along_and_keep_their_objects) {
    Server server;
    const mp::test::Gate gone;
    server.service.publish("rows", server.manager.list<mp::ListProxy<int>>({server.manager.list({1})}));
    server.service.publish("keepers",
                           server.manager.list<mp::Proxy<Keeper>>({server.manager.make<Keeper>(gone.path())}));
    const mp::RemoteManager remote(server.there());
    const auto rows = remote.get<mp::ListProxy<mp::ListProxy<int>>>("rows");
    const auto row = rows.at(0);
    EXPECT_EQ(row, rows.at(0));
    row.append(2);
    rows.append(row);  // a proxy as an argument
    EXPECT_EQ(rows.size(), 2u);
    EXPECT_EQ(rows.at(1).copy(), (std::vector{1, 2}));
    {
        std::optional<mp::Proxy<Keeper>> keeper = remote.get<mp::ListProxy<mp::Proxy<Keeper>>>("keepers").pop();
        EXPECT_EQ(keeper->call<&Keeper::one>(), 1);
        EXPECT_FALSE(gone.is_open());
        EXPECT_THROW(keeper->call<&Keeper::lock>(), mp::CodecError);  // a Lock lies in shared memory
    }
    EXPECT_TRUE(gone.await());
}

TEST_F(NetworkManager, what_belongs_to_one_machine_stays_there) {
    Server server;
    server.service.publish("rows", server.manager.list<mp::ListProxy<int>>());
    const mp::RemoteManager remote(server.there());
    const auto rows = remote.get<mp::ListProxy<mp::ListProxy<int>>>("rows");
    EXPECT_THROW(rows.append(server.manager.list({1})), mp::CodecError);
    EXPECT_EQ(rows.size(), 0u);  // the connection is as it was
    const mp::Queue<mp::ListProxy<mp::ListProxy<int>>> queue;
    EXPECT_THROW(queue.put(rows), mp::CodecError);
}

TEST_F(NetworkManager, when_the_service_closes_calls_end) {
    Server server;
    const auto event = server.manager.event();
    server.service.publish("event", event);
    const mp::RemoteManager remote(server.there());
    const auto far = remote.get<mp::EventProxy>("event");
    EXPECT_FALSE(far.is_set());
    std::thread waiting([&] { EXPECT_THROW(far.wait(), mp::ClosedError); });
    server.service.close();
    waiting.join();
    EXPECT_THROW(far.is_set(), mp::ClosedError);
    EXPECT_THROW(remote.get<mp::EventProxy>("event"), mp::ClosedError);
    EXPECT_THROW((void)server.service.port(), mp::ClosedError);
    EXPECT_FALSE(event.is_set());
}

TEST_F(NetworkManager, when_the_manager_ends_remote_calls_are_errors) {
    Server server;
    server.service.publish("list", server.manager.list({1}));
    const mp::RemoteManager remote(server.there());
    const auto list = remote.get<mp::ListProxy<int>>("list");
    server.manager.shutdown();
    EXPECT_THROW(list.append(2), mp::ClosedError);
}

TEST_F(NetworkManager, nonsense_from_a_client_costs_that_client_only) {
    using Raw = mp::RemoteConnection<mp::network::Reply, std::vector<std::byte>>;
    using mp::network::Question;
    Server server;
    server.service.publish("list", server.manager.list({1}));
    const mp::RemoteManager remote(server.there());
    const auto list = remote.get<mp::ListProxy<int>>("list");
    const Raw raw = mp::connect<mp::network::Reply, std::vector<std::byte>>(server.there());
    raw.send(std::vector<std::byte>(1000, std::byte{0xa5}));
    EXPECT_THROW(raw.recv(), mp::EndOfFile);
    // A client cannot reach objects that it was not given.
    const auto stranger = mp::connect<mp::network::Reply, Question>(server.there());
    stranger.send({.kind = Question::Kind::hello, .client = {1, 2}});
    stranger.send({.kind = Question::Kind::call, .object = 12345, .call = std::vector<std::byte>(16)});
    EXPECT_EQ(stranger.recv().answer.front(), std::byte{1});  // an error
    stranger.send({.kind = Question::Kind::call, .object = 12345, .call = {}});
    EXPECT_EQ(stranger.recv().answer.front(), std::byte{1});
    stranger.send({.kind = Question::Kind::release, .object = 12345, .times = 7});
    EXPECT_EQ(list.size(), 1u);
}

}  // namespace
