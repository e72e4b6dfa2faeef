// Locks, and who waits for others or wakes them.
#include <atomic>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "plan.hpp"

namespace multiproc::test {
namespace {

// Does something again and again on a thread of its own, until it is told that this was enough.
class Repeated {
public:
    explicit Repeated(std::function<void()> what)
        : thread_([this, what = std::move(what)] {
              while (!is_over_.load()) what();
          }) {}
    ~Repeated() {
        is_over_ = true;
        thread_.join();
    }
    Repeated(const Repeated&) = delete;
    Repeated& operator=(const Repeated&) = delete;

private:
    std::atomic<bool> is_over_{false};
    std::thread thread_;
};

// ---- locks -----------------------------------------------------------------------------------------------------------

void use_locks(const Lock& lock, const RLock& recursive) {
    { const std::scoped_lock guard(lock); }
    const std::scoped_lock guard(recursive);
    const std::scoped_lock again(recursive);
}

void lock_until_dead(Plan plan, Lock lock, RLock recursive) {
    plan.begin();
    for (int i = 0; i < 100'000; ++i) use_locks(lock, recursive);
}

// It is handed on, and can be given up and taken as often as one likes.
template <class L>
void expect_lock_usable(const L& lock) {
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(lock.try_lock_for(long_enough)) << "it is not handed on";
        if (lock.owner_died()) lock.make_consistent();
        EXPECT_FALSE(lock.owner_died());
        lock.unlock();
        EXPECT_FALSE(lock.locked()) << "it counts more than it was taken";
    }
}

void take_with_it(Lock lock, RLock recursive) {
    lock.lock();
    recursive.lock();
    recursive.lock();
}

void inherit_lock_until_dead(Plan plan, Lock lock, RLock recursive) {
    plan.begin();
    for (int i = 0; i < 10; ++i) {
        Process owner(take_with_it, lock, recursive);
        owner.start();
        owner.join();
        lock.lock();
        recursive.lock();
        if (!lock.owner_died() || !recursive.owner_died()) return;
        lock.make_consistent();
        recursive.make_consistent();
        recursive.unlock();
        lock.unlock();
        if (lock.locked() || recursive.locked()) return;
    }
}

// ---- waiting and waking ------------------------------------------------------------------------------------------------

struct Signals {
    Semaphore semaphore{0};
    Event event;
    Lock lock;
    Condition condition{lock};
    Queue<int> queue;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(semaphore, event, lock, condition, queue);
    }
};

void wait_a_little(const Signals& signals) {
    signals.semaphore.acquire(true, 3ms);
    signals.event.wait(3ms);
    {
        const std::unique_lock guard(signals.lock);
        signals.condition.wait(3ms);
    }
    wait({signals.queue, signals.queue}, 2ms);
}

void wake_all(const Signals& signals) {
    signals.semaphore.release();
    signals.event.set();
    signals.event.clear();
    const std::unique_lock guard(signals.lock);
    if (signals.lock.owner_died()) signals.lock.make_consistent();
    signals.condition.notify();
    signals.condition.notify_all();
}

void wait_until_dead(Plan plan, Signals signals) {
    plan.begin();
    for (int i = 0; i < 1'000; ++i) wait_a_little(signals);
}
void wake_until_dead(Plan plan, Signals signals) {
    plan.begin();
    for (int i = 0; i < 100'000; ++i) wake_all(signals);
}

// Whoever waits without end gets out when somebody wakes who waits.
void expect_waiters_get_out(const Signals& signals) {
    std::atomic<int> out{0};
    std::vector<std::thread> waiters;
    for (int i = 0; i < 2; ++i) {
        waiters.emplace_back([&] { out += signals.semaphore.acquire() ? 1 : 0; });
        waiters.emplace_back([&] { out += signals.event.wait() ? 1 : 0; });
        waiters.emplace_back([&] {
            const std::unique_lock guard(signals.lock);
            out += signals.condition.wait() ? 1 : 0;
        });
        waiters.emplace_back([&] { out += static_cast<int>(wait({signals.queue}).size()); });
    }
    const auto give_up = std::chrono::steady_clock::now() + long_enough;
    signals.queue.put(1);
    while (out.load() < 8 && std::chrono::steady_clock::now() < give_up) {
        wake_all(signals);
        std::this_thread::yield();
    }
    EXPECT_EQ(out.load(), 8);
    for (std::thread& waiter : waiters) waiter.join();
    EXPECT_EQ(signals.queue.get(), 1);
}

// ---- the barrier -------------------------------------------------------------------------------------------------------

// Whether it went well. It is as new afterwards.
bool meet(const Barrier& barrier, Timeout patience) {
    try {
        barrier.wait([] {}, patience);
        return true;
    } catch (const BrokenBarrierError&) {
        barrier.reset();
        return false;
    }
}

void meet_until_dead(Plan plan, Barrier barrier) {
    plan.begin();
    for (int i = 0; i < 10'000; ++i) {
        meet(barrier, 2s);
        if (i % 5 != 4) continue;
        barrier.abort();
        barrier.reset();
    }
}

}  // namespace

void test_locks(Plan plan) {
    const Lock lock;
    const RLock recursive;
    Process victim(lock_until_dead, plan, lock, recursive);
    {
        const Repeated first([&] { use_locks(lock, recursive); });
        const Repeated second([&] { use_locks(lock, recursive); });
        victim.start();
        expect_dead(victim);
    }
    expect_lock_usable(lock);
    expect_lock_usable(recursive);
}

void test_inherits_lock(Plan plan) {
    const Lock lock;
    const RLock recursive;
    Process victim(inherit_lock_until_dead, plan, lock, recursive);
    victim.start();
    expect_dead(victim);
    if (plan.where() == DeathPoint::lock_inherited || plan.where() == DeathPoint::lock_death_noted) {
        EXPECT_TRUE(lock.locked() || recursive.locked());
        ASSERT_TRUE(lock.try_lock_for(long_enough));
        ASSERT_TRUE(recursive.try_lock_for(long_enough));
        EXPECT_TRUE(lock.owner_died() || recursive.owner_died()) << "nobody is told of the death";
        recursive.unlock();
        lock.unlock();
    }
    expect_lock_usable(lock);
    expect_lock_usable(recursive);
}

void test_waits(Plan plan) {
    const Signals signals;
    Process victim(wait_until_dead, plan, signals);
    {
        const Repeated waker([&] {
            wake_all(signals);
            std::this_thread::sleep_for(1ms);  // so that the victim's waits end in both ways
        });
        const Repeated waiter([&] { wait_a_little(signals); });
        victim.start();
        expect_dead(victim);
    }
    expect_lock_usable(signals.lock);
    expect_waiters_get_out(signals);
}

void test_wakes(Plan plan) {
    const Signals signals;
    Process victim(wake_until_dead, plan, signals);
    {
        const Repeated first([&] { wait_a_little(signals); });
        const Repeated second([&] { wait_a_little(signals); });
        victim.start();
        expect_dead(victim);
    }
    expect_lock_usable(signals.lock);
    expect_waiters_get_out(signals);
}

void test_meets(Plan plan) {
    const Barrier barrier(2);
    Process victim(meet_until_dead, plan, barrier);
    {
        const Repeated partner([&] { meet(barrier, 500ms); });
        victim.start();
        expect_dead(victim);
    }
    barrier.reset();
    std::atomic<int> met{0};
    std::thread partner([&] {
        for (int i = 0; i < 100; ++i) met += meet(barrier, long_enough) ? 1 : 0;
    });
    for (int i = 0; i < 100; ++i) met += meet(barrier, long_enough) ? 1 : 0;
    partner.join();
    EXPECT_EQ(met.load(), 200);
}

}  // namespace multiproc::test
