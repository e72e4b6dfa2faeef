// Managers, their objects, and what happens when somebody dies.
#include <chrono>
#include <csignal>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "runtime.hpp"
#include "support/die.hpp"
#include "support/each_start_method.hpp"
#include "support/gate.hpp"
#include "support/leftovers.hpp"

namespace {

using namespace std::chrono_literals;
namespace mp = multiproc;
using Clock = std::chrono::steady_clock;
using ManagerObjects = mp::test::EachStartMethod;
using ManagerDeath = mp::test::EachStartMethod;

class Account {
public:
    explicit Account(std::string owner, int balance = 0) : owner_(std::move(owner)), balance_(balance) {}
    const std::string& owner() const { return owner_; }
    int balance() const noexcept { return balance_; }
    void deposit(int amount) {
        if (amount < 0) throw std::domain_error("a deposit of " + std::to_string(amount));
        balance_ += amount;
    }
    std::size_t longest(const std::vector<std::string>& texts, std::string_view other) const {
        std::size_t most = other.size();
        for (const auto& text : texts) most = std::max(most, text.size());
        return most;
    }
    void end_server() { mp::test::die(mp::test::Death::kill); }
    void unlisted() {}

private:
    std::string owner_;
    int balance_;
};

// Opens a gate when it is destroyed.
class Farewell {
public:
    explicit Farewell(std::string gate) : gate_(std::move(gate)) {}
    Farewell(const Farewell&) = delete;
    Farewell& operator=(const Farewell&) = delete;
    ~Farewell() { mp::test::open_gate(gate_); }
    int one() { return 1; }

private:
    std::string gate_;
};

// Calls itself and others, also from its destructor.
class Chain {
public:
    explicit Chain(mp::ListProxy<std::string> log) : log_(std::move(log)) {}
    Chain(const Chain&) = delete;
    Chain& operator=(const Chain&) = delete;
    ~Chain() { log_.append("gone"); }
    int call_self(mp::Proxy<Chain> self, int depth);
    void lock(mp::LockProxy lock) { lock.acquire(); }

private:
    mp::ListProxy<std::string> log_;
};

}  // namespace

template <>
inline constexpr auto multiproc::methods<Chain> =
    multiproc::method_list(multiproc::method<&Chain::call_self>("call_self"), multiproc::method<&Chain::lock>("lock"));
template <>
inline constexpr auto multiproc::methods<Account> = multiproc::method_list(
    multiproc::method<&Account::owner>("owner"), multiproc::method<&Account::balance>("balance"),
    multiproc::method<&Account::deposit>("deposit"), multiproc::method<&Account::longest>("longest"),
    multiproc::method<&Account::end_server>("end_server"));
template <>
inline constexpr auto multiproc::methods<Farewell> = multiproc::method_list(multiproc::method<&Farewell::one>("one"));

namespace {

TEST_F(ManagerObjects, methods_of_a_users_class_run_in_the_server) {
    const mp::Manager manager;
    const mp::Proxy<Account> account = manager.make<Account>(std::string("Ada"), 10);
    account.call<&Account::deposit>(5);
    EXPECT_EQ(account.call<&Account::balance>(), 15);
    EXPECT_EQ(account.call<&Account::owner>(), "Ada");
    EXPECT_EQ((account.call<&Account::longest>(std::vector<std::string>{"a", "bcd"}, "xy")), 3u);
    EXPECT_EQ(manager.run([](int a, int b) { return a + b; }, 2, 3), 5);
}

TEST_F(ManagerObjects, what_a_method_throws_is_thrown_in_the_client_with_its_type) {
    const mp::Manager manager;
    const auto account = manager.make<Account>(std::string("Ada"));
    try {
        account.call<&Account::deposit>(-1);
        FAIL();
    } catch (const std::domain_error& error) {
        EXPECT_STREQ(error.what(), "a deposit of -1");
        const auto& remote = dynamic_cast<const mp::RemoteError&>(error);
        EXPECT_EQ(remote.pid(), manager.pid());
        EXPECT_NE(remote.task().find("deposit"), std::string::npos) << remote.task();
    }
    EXPECT_EQ(account.call<&Account::balance>(), 0);
    EXPECT_THROW(manager.run([] { throw std::out_of_range("x"); }), std::out_of_range);
    EXPECT_THROW(manager.semaphore(-1), std::invalid_argument);  // of a constructor
}

int deposit_many(mp::Proxy<Account> account, int times) {
    for (int i = 0; i < times; ++i) account.call<&Account::deposit>(1);
    return times;
}

TEST_F(ManagerObjects, calls_of_one_object_exclude_each_other) {
    allow_sleepers(8);  // besides the workers, the manager has a thread for each of five clients
    const mp::Manager manager;
    const auto account = manager.make<Account>(std::string("all"));
    mp::Pool pool(3);
    std::vector<std::tuple<mp::Proxy<Account>, int>> jobs(6, {account, 200});
    std::thread here([&] { deposit_many(account, 200); });
    pool.starmap(deposit_many, jobs);
    here.join();
    EXPECT_EQ(account.call<&Account::balance>(), 1400);
}

mp::ListProxy<int> pass_on(mp::ListProxy<int> list) {
    list.append(1);
    mp::Process child([](mp::ListProxy<int> mine) { mine.append(2); }, list);
    child.start();
    child.result();
    return list;
}

TEST_F(ManagerObjects, proxies_go_to_grandchildren_come_back_and_pass_through_queues) {
    const mp::Manager manager;
    const auto list = manager.list<int>();
    mp::Process process(pass_on, list);
    process.start();
    EXPECT_EQ(process.result(), list);
    EXPECT_EQ(list.copy(), (std::vector{1, 2}));

    const mp::Queue<std::optional<mp::ListProxy<int>>> queue;
    mp::Process sender(
        [](mp::Queue<std::optional<mp::ListProxy<int>>> out, mp::ListProxy<int> mine) {
            mine.append(3);
            out.put(mine);
        },
        queue, list);
    sender.start();
    sender.join();
    queue.get().value().append(4);
    EXPECT_EQ(list.copy(), (std::vector{1, 2, 3, 4}));
}

TEST_F(ManagerObjects, an_object_goes_with_its_last_proxy) {
    const mp::Manager manager;
    const mp::test::Gate gone;
    {
        const auto farewell = manager.make<Farewell>(gone.path());
        const auto list = manager.list<mp::Proxy<Farewell>>({farewell});
        mp::Process process([](mp::Proxy<Farewell> mine) { return mine.call<&Farewell::one>(); }, farewell);
        process.start();
        EXPECT_EQ(process.result(), 1);
        EXPECT_FALSE(gone.is_open());
    }
    EXPECT_TRUE(gone.await());
}

TEST_F(ManagerObjects, are_destroyed_by_a_shutdown) {
    mp::Manager manager;
    const mp::test::Gate gone;
    const auto farewell = manager.make<Farewell>(gone.path());
    manager.shutdown();
    EXPECT_TRUE(gone.is_open());
    EXPECT_THROW(farewell.call<&Farewell::one>(), mp::ClosedError);
}

TEST_F(ManagerObjects, after_a_shutdown_every_use_is_an_error) {
    mp::Manager manager;
    EXPECT_NE(manager.pid(), 0u);
    const auto dict = manager.dict<int, int>({{1, 2}});
    const auto unused = manager.list<int>();
    EXPECT_EQ(dict.at(1), 2);
    const std::uint32_t server = manager.pid();
    manager.shutdown();
    manager.shutdown();
    EXPECT_FALSE(mp::test::is_running(server));
    EXPECT_EQ(manager.pid(), 0u);
    EXPECT_THROW(dict.at(1), mp::ClosedError);
    EXPECT_THROW(unused.append(1), mp::ClosedError);
    std::thread([&] { EXPECT_THROW(dict.at(1), mp::ClosedError); }).join();  // without a session
    EXPECT_THROW(manager.list<int>(), mp::ClosedError);
    const mp::Manager other;
    EXPECT_EQ(other.list({1}).size(), 1u);
}

TEST_F(ManagerObjects, leave_nothing_behind) {
    {
        const mp::Manager warm_up;
        warm_up.list({1}).append(2);
    }
    const std::size_t handles = mp::test::open_handles();
    const std::size_t objects = mp::Runtime::get().arena().object_count();
    for (int i = 0; i < 3; ++i) {
        const mp::Manager manager;
        const auto list = manager.list<std::string>();
        for (int j = 0; j < 100; ++j) list.append(std::string(static_cast<std::size_t>(j) * 100, 'x'));
        mp::Process process([](mp::ListProxy<std::string> mine) { return mine.copy().size(); }, list);
        process.start();
        EXPECT_EQ(process.result(), 100u);
    }
    const std::size_t most = handles + 3 * mp::test::kept_handles_per_sleeper();
    EXPECT_TRUE(mp::test::holds_soon([most] { return mp::test::open_handles() <= most; }))
        << mp::test::open_handles() << " handles, " << handles << " before";
    EXPECT_TRUE(mp::test::holds_soon([objects] { return mp::Runtime::get().arena().object_count() <= objects; }))
        << mp::Runtime::get().arena().object_count() << " objects, " << objects << " before";
}

void say_pid_and_wait(mp::ListProxy<std::uint32_t> pids, mp::LockProxy lock, std::string gate) {
    lock.acquire();
    pids.append(mp::current_process().pid);
    mp::test::open_gate(gate);
    for (;;) std::this_thread::sleep_for(1h);
}

TEST_F(ManagerDeath, of_a_client_frees_its_locks_and_what_it_held) {
    const mp::Manager manager;
    const mp::test::Gate gate;
    const auto pids = manager.list<std::uint32_t>();
    const auto lock = manager.lock();
    mp::Process process(say_pid_and_wait, pids, lock, gate.path());
    process.start();
    ASSERT_TRUE(gate.await());
    EXPECT_FALSE(lock.acquire(false));
    EXPECT_TRUE(lock.locked());
    process.kill();
    EXPECT_TRUE(lock.acquire(true, 30s));
    lock.release();
    EXPECT_EQ(pids.copy(), std::vector{process.pid()});
    process.join();
}

TEST_F(ManagerDeath, of_the_server_is_an_error_for_those_who_wait) {
    const mp::Manager manager;
    const auto event = manager.event();
    const auto account = manager.make<Account>(std::string("Ada"));
    std::thread waiting([&] { EXPECT_THROW(event.wait(), mp::ClosedError); });
    EXPECT_THROW(account.call<&Account::end_server>(), mp::ClosedError);
    waiting.join();
    EXPECT_THROW(account.call<&Account::balance>(), mp::ClosedError);
    EXPECT_THROW(manager.list<int>(), mp::ClosedError);
}

TEST_F(ManagerDeath, of_clients_at_any_instant_harms_nobody) {
    const mp::Manager manager;
    const auto dict = manager.dict<int, std::string>();
    const auto loop = [](mp::DictProxy<int, std::string> mine, int number) {
        for (int i = 0;; ++i) {
            mine.set(number, std::string(static_cast<std::size_t>(i % 3000), 'x'));
            (void)mine.items();
        }
    };
    for (int i = 0; i < 10; ++i) {
        mp::Process process(loop, dict, i);
        process.start();
        while (!dict.contains(i)) std::this_thread::yield();
        process.kill();
        process.join();
    }
    EXPECT_EQ(dict.size(), 10u);
}

TEST_F(ManagerDeath, of_the_owner_ends_the_server) {
    const mp::Queue<std::uint32_t> pids;
    mp::Process owner(
        [](mp::Queue<std::uint32_t> out) {
            const mp::Manager manager;
            (void)manager.list({1});
            out.put(manager.pid());
            mp::test::die(mp::test::Death::kill);
        },
        pids);
    owner.start();
    const std::uint32_t server = pids.get(true, 60s);
    owner.join();
    for (int i = 0; i < 3000 && mp::test::is_running(server); ++i) std::this_thread::sleep_for(10ms);
    EXPECT_FALSE(mp::test::is_running(server));
}

TEST_F(ManagerDeath, of_owner_and_server_at_once_is_an_error_for_the_clients) {
    const mp::Queue<mp::EventProxy> queue;
    const mp::test::Gate gate;
    mp::Process owner(
        [](mp::Queue<mp::EventProxy> out, std::string path) {
            const mp::Manager manager;
            out.put(manager.event());
            mp::test::Gate::await(path);
            mp::test::die(mp::test::Death::kill);
        },
        queue, gate.path());
    owner.start();
    const mp::EventProxy event = queue.get();
    EXPECT_FALSE(event.is_set());
    gate.open();
    EXPECT_THROW(event.wait(), mp::ClosedError);
    owner.join();
}

TEST_F(ManagerObjects, the_server_ignores_interrupts) {
    const mp::Manager manager;
    const auto list = manager.list({1});
#if !defined(_WIN32)
    ASSERT_EQ(::kill(static_cast<pid_t>(manager.pid()), SIGINT), 0);
#endif
    list.append(2);
    EXPECT_EQ(list.size(), 2u);
}

TEST_F(ManagerObjects, a_message_that_names_an_object_of_another_class_is_refused) {
    const mp::Manager manager;
    const auto list = manager.list({1});
    mp::HeapBuffer out;
    mp::encode(out, list);
    mp::InputBuffer in(out.bytes());
    EXPECT_THROW((mp::decode<mp::DictProxy<int, int>>(in)), mp::CodecError);
}

TEST_F(ManagerObjects, a_call_of_an_unknown_method_or_with_too_few_bytes_is_an_error) {
    const mp::Manager manager;
    const auto list = manager.list({1});
    const auto& target = *mp::detail::ProxyAccess::target(list);
    mp::detail::ProxyCall unknown(target, mp::detail::method_id("no_such_method"));
    EXPECT_THROW(unknown.perform(), mp::CodecError);
    mp::detail::ProxyCall cut(target, mp::detail::method_id("append"));
    EXPECT_THROW(cut.perform(), mp::CodecError);
    mp::detail::QueueWriter empty;
    mp::detail::QueueMessage answer;
    target.exchange(empty, answer);  // not even an object
    mp::InputBuffer in = answer.input();
    EXPECT_EQ(mp::decode<std::uint8_t>(in), 1);
    EXPECT_EQ(list.size(), 1u);
}

TEST_F(ManagerObjects, managers_in_children_and_several_managers_work) {
    const mp::Manager first, second;
    const auto a = first.list({1}), b = second.list({2});
    a.append(3);
    b.append(4);
    mp::Process process([] {
        const mp::Manager mine;
        return mine.list({5}).at(0);
    });
    process.start();
    EXPECT_EQ(process.result(), 5);
    EXPECT_EQ(a.copy(), (std::vector{1, 3}));
    EXPECT_EQ(b.copy(), (std::vector{2, 4}));
}

int Chain::call_self(mp::Proxy<Chain> self, int depth) {
    log_.append(std::to_string(depth));
    return depth == 0 ? 0 : 1 + self.call<&Chain::call_self>(self, depth - 1);
}

TEST_F(ManagerObjects, methods_may_call_their_own_object_and_destructors_may_call_others) {
    const mp::Manager manager;
    const auto log = manager.list<std::string>();
    {
        const auto chain = manager.make<Chain>(log);
        EXPECT_EQ((chain.call<&Chain::call_self>(chain, 2)), 2);
        EXPECT_EQ(log.copy(), (std::vector<std::string>{"2", "1", "0"}));
        const auto lock = manager.lock();
        chain.call<&Chain::lock>(lock);  // it is this thread that has it then
        EXPECT_TRUE(lock.locked());
        lock.release();
    }
    for (int i = 0; i < 3000 && log.size() < 4; ++i) std::this_thread::sleep_for(10ms);
    EXPECT_EQ(log.at(-1), "gone");
    mp::Process later([](mp::ListProxy<std::string> mine) { return mine.size(); }, log);  // new clients get in
    later.start();
    EXPECT_EQ(later.result(), 4u);
}

TEST_F(ManagerObjects, a_failed_call_does_not_give_up_the_threads_locks) {
    const mp::Manager manager;
    const auto lock = manager.lock();
    const auto list = manager.list<std::vector<std::shared_ptr<int>>>();
    lock.lock();
    EXPECT_THROW(list.at(0), std::out_of_range);
    EXPECT_THROW(mp::detail::ProxyCall(*mp::detail::ProxyAccess::target(list), 0).perform(), mp::CodecError);
    std::thread([&] { EXPECT_FALSE(lock.try_lock()); }).join();
    lock.unlock();
}

}  // namespace
