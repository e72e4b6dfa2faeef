// Managers: a client dies, or the server.
#include <thread>

#include "plan.hpp"
#include "support/each_start_method.hpp"

namespace multiproc::test {
namespace {

using Dict = DictProxy<int, int>;

// One thread's calls are one session.
void call_in_session(const LockProxy& lock, const Dict& dict, int number) {
    std::thread([&] {
        const std::scoped_lock guard(lock);
        dict.set(number, number);
        EXPECT_EQ(dict.at(number), number);
    }).join();
}

void call_until_dead(Plan plan, LockProxy lock, Dict dict) {
    plan.begin();
    for (int i = 0; i < 50; ++i) call_in_session(lock, dict, i);
}

void let_client_die(Plan plan) {
    const Manager manager;
    const LockProxy lock = manager.lock();
    const Dict dict = manager.dict<int, int>();
    Process victim(call_until_dead, plan, lock, dict);
    victim.start();
    for (int i = 100; i < 110; ++i) call_in_session(lock, dict, i);
    expect_dead(victim);
    ASSERT_TRUE(lock.try_lock_for(long_enough)) << "the server does not take back what a client held";
    lock.unlock();
    for (int i = 200; i < 210; ++i) call_in_session(lock, dict, i);
    EXPECT_GE(dict.size(), 20u);
}

// Everything that a server does; whether it is still there.
bool use_server(const Manager& manager, const LockProxy& lock, int number) {
    try {
        const Dict dict = manager.dict<int, int>();
        std::exception_ptr error;
        std::thread([&] {
            try {
                const std::scoped_lock guard(lock);
                dict.set(number, number);
            } catch (...) { error = std::current_exception(); }
        }).join();
        if (error) std::rethrow_exception(error);
        return dict.size() == 1;
    } catch (const ClosedError&) { return false; }
}

void let_server_die(Plan plan) {
    {
        Manager manager;
        const LockProxy lock = manager.lock();
        plan.begin_elsewhere();
        const auto give_up = std::chrono::steady_clock::now() + long_enough;
        int number = 0;
        while (use_server(manager, lock, ++number) && std::chrono::steady_clock::now() < give_up) {}
        EXPECT_TRUE(has_died()) << "the server has not come to the point";
        EXPECT_THROW(lock.lock(), ClosedError);
        EXPECT_THROW((manager.dict<int, int>()), ClosedError);
    }
    const Manager another;
    EXPECT_TRUE(use_server(another, another.lock(), 1));
}

}  // namespace

// On threads of their own: a thread's session with a server that has ended stays until the thread ends.
void test_calls_manager(Plan plan) { std::thread(let_client_die, plan).join(); }
void test_serves_as_manager(Plan plan) { std::thread(let_server_die, plan).join(); }

}  // namespace multiproc::test
