// Queues between processes and threads.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "queue_ring.hpp"
#include "queue_state.hpp"
#include "runtime.hpp"
#include "shared_object.hpp"
#include "support/atomic_in.hpp"
#include "support/die.hpp"
#include "support/each_start_method.hpp"
#include "support/gate.hpp"

namespace {

using namespace std::chrono_literals;
namespace mp = multiproc;
using Clock = std::chrono::steady_clock;
using SyncQueue = mp::test::EachStartMethod;

TEST_F(SyncQueue, gives_items_in_the_order_they_were_put_in) {
    for (const int limit : {0, 1, 2, 3, 5, 64, 1000}) {
        const mp::Queue<int> queue(limit);
        int next_in = 0, next_out = 0;
        for (int round = 0; round < 300; ++round) {
            for (int i = 0; i < round % 7; ++i)
                if (queue.try_put(next_in)) ++next_in;
            for (int i = 0; i < round % 5; ++i) {
                const std::optional<int> item = queue.try_get();
                if (!item) break;
                ASSERT_EQ(*item, next_out++);
            }
            ASSERT_EQ(queue.qsize(), static_cast<std::size_t>(next_in - next_out));
        }
        while (next_out != next_in) ASSERT_EQ(queue.get_nowait(), next_out++);
        EXPECT_TRUE(queue.empty());
    }
}

TEST_F(SyncQueue, is_full_at_its_limit_and_empty_without_items) {
    const mp::Queue<std::string> queue(3);
    EXPECT_THROW(queue.get_nowait(), mp::queue::Empty);
    EXPECT_THROW(queue.get(false, 1h), mp::queue::Empty);  // non-blocking: the timeout does not count
    for (int i = 0; i < 3; ++i) queue.put(std::to_string(i));
    EXPECT_TRUE(queue.full());
    EXPECT_FALSE(queue.try_put("four"));
    EXPECT_THROW(queue.put_nowait("four"), mp::queue::Full);
    EXPECT_THROW(queue.put("four", false, 1h), mp::queue::Full);
    for (const auto timeout : {20ms, 120ms}) {
        auto begin = Clock::now();
        EXPECT_THROW(queue.put("four", true, timeout), mp::queue::Full);
        EXPECT_GE(Clock::now() - begin, timeout);
        begin = Clock::now();
        const mp::Queue<int> nothing;
        EXPECT_THROW(nothing.get(true, timeout), mp::queue::Empty);
        EXPECT_GE(Clock::now() - begin, timeout);
    }
    EXPECT_EQ(queue.get(), "0");
    EXPECT_TRUE(queue.try_put("3"));
    EXPECT_EQ(queue.qsize(), 3u);
    EXPECT_THROW(mp::Queue<int>((1 << 20) + 1), std::invalid_argument);
}

void produce(mp::Queue<std::pair<int, int>> queue, int producer, int count) {
    for (int i = 0; i < count; ++i) queue.put({producer, i});
}

std::map<int, std::vector<int>> consume(mp::Queue<std::pair<int, int>> queue) {
    std::map<int, std::vector<int>> seen;
    for (;;) {
        const auto [producer, number] = queue.get();
        if (producer < 0) return seen;
        seen[producer].push_back(number);
    }
}

TEST_F(SyncQueue, nothing_is_lost_and_nothing_comes_twice) {
    for (const int limit : {0, 1, 100}) {
        const mp::Queue<std::pair<int, int>> queue(limit);
        constexpr int count = 3'000;
        std::vector<mp::Process<void>> producers;
        std::vector<mp::Process<std::map<int, std::vector<int>>>> consumers;
        for (int i = 0; i < 3; ++i) {
            producers.emplace_back(produce, queue, i, count);
            producers.back().start();
            consumers.emplace_back(consume, queue);
            consumers.back().start();
        }
        std::thread thread([&] { produce(queue, 3, count); });
        thread.join();
        for (auto& producer : producers) producer.result();
        for (int i = 0; i < 3; ++i) queue.put({-1, 0});
        std::map<int, std::vector<int>> all;
        for (auto& consumer : consumers) {
            for (auto& [producer, numbers] : consumer.result()) {
                EXPECT_TRUE(std::ranges::is_sorted(numbers));
                all[producer].insert(all[producer].end(), numbers.begin(), numbers.end());
            }
        }
        ASSERT_EQ(all.size(), 4u);
        for (auto& [producer, numbers] : all) {
            std::ranges::sort(numbers);
            ASSERT_EQ(numbers.size(), static_cast<std::size_t>(count)) << producer;
            for (int i = 0; i < count; ++i) ASSERT_EQ(numbers[static_cast<std::size_t>(i)], i);
        }
        EXPECT_TRUE(queue.empty());
    }
}

// More than the queue's first ring has room for.
constexpr int many = 1'000;
using Large = std::array<int, 500>;
void put_many(mp::Queue<Large> queue) {
    for (int i = 1; i <= many; ++i) queue.put(Large{i});
}

TEST_F(SyncQueue, what_is_put_later_comes_later_whoever_puts_it) {
    const mp::Queue<Large> queue;
    queue.put(Large{0});
    mp::Process producer(put_many, queue);
    producer.start();
    producer.result();
    for (int i = 0; i <= 3; ++i)
        EXPECT_EQ(queue.get()[0], i);  // so there is room where this process put something before
    queue.put(Large{many + 1});
    for (int i = 4; i <= many + 1; ++i) ASSERT_EQ(queue.get()[0], i);
    EXPECT_TRUE(queue.empty());
}

TEST_F(SyncQueue, without_limit_takes_all_before_anybody_comes) {
    const mp::Queue<int> queue;
    constexpr int count = 300'000;
    for (int i = 0; i < count; ++i) queue.put(i);
    EXPECT_EQ(queue.qsize(), static_cast<std::size_t>(count));
    mp::Process consumer(
        [](mp::Queue<int> mine, int last) {
            for (int i = 0; i <= last; ++i)
                if (mine.get() != i) return i;
            return -1;
        },
        queue, count - 1);
    consumer.start();
    EXPECT_EQ(consumer.result(), -1);
    EXPECT_TRUE(queue.empty());
}

TEST_F(SyncQueue, a_process_that_puts_and_exits_or_is_killed_has_delivered) {
    const mp::Queue<std::string> queue;
    mp::Process leaving([](mp::Queue<std::string> mine) { mine.put(std::string(3'000'000, 'x')); }, queue);
    leaving.start();
    leaving.join();
    leaving.close();
    mp::Process killed(
        [](mp::Queue<std::string> mine) {
            mine.put("small");
            mine.put(std::string(100'000, 'y'));
            mp::test::die(mp::test::Death::kill);
        },
        queue);
    killed.start();
    killed.join();
    killed.close();
    EXPECT_EQ(queue.get(), std::string(3'000'000, 'x'));
    EXPECT_EQ(queue.get(), "small");
    EXPECT_EQ(queue.get(), std::string(100'000, 'y'));
    EXPECT_TRUE(queue.empty());
}

TEST_F(SyncQueue, carries_queues_and_locks_also_after_their_maker_is_gone) {
    const mp::Queue<std::pair<mp::Queue<int>, mp::Lock>> queue;
    mp::Process maker(
        [](mp::Queue<std::pair<mp::Queue<int>, mp::Lock>> mine) {
            const mp::Queue<int> inner;
            const mp::Lock lock;
            lock.lock();
            inner.put(7);
            mine.put({inner, lock});
            mp::test::die(mp::test::Death::kill);
        },
        queue);
    maker.start();
    maker.join();
    maker.close();
    const auto [inner, lock] = queue.get();
    EXPECT_EQ(inner.get(), 7);
    lock.lock();
    EXPECT_TRUE(lock.owner_died());
}

TEST_F(SyncQueue, goes_with_tasks_and_to_grandchildren) {
    mp::Pool pool(2);
    const mp::Queue<int> queue;
    const auto put_some = [](mp::Queue<int> mine, int number) {
        mp::Process grandchild([](mp::Queue<int> its, int value) { its.put(value); }, mine, 10 * number);
        grandchild.start();
        grandchild.join();
        mine.put(number);
        return mine;
    };
    const auto echoed = pool.starmap(put_some, std::vector<std::tuple<mp::Queue<int>, int>>{{queue, 1}, {queue, 2}});
    EXPECT_EQ(echoed[0], queue);
    std::vector<int> all;
    while (const auto item = queue.try_get()) all.push_back(*item);
    std::ranges::sort(all);
    EXPECT_EQ(all, (std::vector<int>{1, 2, 10, 20}));
}

TEST_F(SyncQueue, a_consumer_that_is_killed_while_it_waits_harms_nobody) {
    const mp::Queue<int> queue, out;
    const mp::Semaphore started(0);
    std::vector<mp::Process<void>> consumers;
    for (int i = 0; i < 3; ++i) {
        consumers.emplace_back(
            [](mp::Queue<int> in, mp::Queue<int> answers, mp::Semaphore begun) {
                begun.release();
                answers.put(in.get());
            },
            queue, out, started);
        consumers.back().start();
        ASSERT_TRUE(started.acquire(true, 60s));
    }
    consumers[0].kill();
    consumers[0].join();
    queue.put(1);
    queue.put(2);
    EXPECT_EQ(out.get(true, 60s) + out.get(true, 60s), 3);
    for (auto& consumer : consumers) consumer.join();
}

TEST_F(SyncQueue, an_item_that_cannot_be_encoded_is_an_error_of_put_and_one_that_cannot_be_decoded_of_get) {
    struct Node {
        std::shared_ptr<Node> next;
    };
    const mp::Queue<std::shared_ptr<Node>> queue;
    const auto cycle = std::make_shared<Node>();
    cycle->next = cycle;
    EXPECT_THROW(queue.put(cycle), mp::CodecError);
    cycle->next.reset();
    EXPECT_TRUE(queue.empty());
}

TEST_F(SyncQueue, closed_is_an_error) {
    const mp::Queue<int> queue;
    const mp::Queue<int> copy = queue;
    queue.put(1);
    mp::Process other([](mp::Queue<int> mine) { mine.put(2); }, queue);
    queue.close();
    EXPECT_THROW(copy.put(1), mp::ClosedError);
    EXPECT_THROW(copy.get(), mp::ClosedError);
    EXPECT_THROW((void)queue.qsize(), mp::ClosedError);
    EXPECT_THROW(queue.close(), mp::ClosedError);
    other.start();  // who was given it before still has it
    other.result();
    queue.join_thread();
    queue.cancel_join_thread();
}

TEST_F(SyncQueue, a_joinable_one_is_joined_when_all_items_are_done_with) {
    const mp::JoinableQueue<int> queue(4);
    EXPECT_TRUE(queue.join_for(0s));
    EXPECT_THROW(queue.task_done(), std::logic_error);
    mp::Process<void> worker(
        [](mp::JoinableQueue<int> mine) {
            for (int i = 0; i < 500; ++i) {
                (void)mine.get();
                mine.task_done();
            }
        },
        queue);
    queue.put(0);
    EXPECT_FALSE(queue.join_for(20ms));
    worker.start();
    for (int i = 1; i < 500; ++i) queue.put(i);
    queue.join();
    worker.result();
    EXPECT_THROW(queue.task_done(), std::logic_error);
}

TEST_F(SyncQueue, simple_ones_too) {
    const mp::SimpleQueue<std::vector<std::string>> queue;
    EXPECT_TRUE(queue.empty());
    mp::Process producer([](mp::SimpleQueue<std::vector<std::string>> mine) { mine.put({"a", "", "ccc"}); }, queue);
    producer.start();
    EXPECT_EQ(queue.get(), (std::vector<std::string>{"a", "", "ccc"}));
    producer.join();
    queue.close();
    EXPECT_THROW(queue.put({}), mp::ClosedError);
}

TEST_F(SyncQueue, leaves_nothing_in_shared_memory) {
    mp::Arena& arena = mp::Runtime::get().arena();
    const std::size_t before = arena.object_count();
    {
        const mp::Queue<std::pair<std::string, std::optional<mp::Lock>>> queue;
        for (int i = 0; i < 2'000; ++i) queue.put({std::string(static_cast<std::size_t>(i), 'z'), mp::Lock()});
        for (int i = 0; i < 1'500; ++i) ASSERT_EQ(queue.get().first.size(), static_cast<std::size_t>(i));
        EXPECT_GT(arena.object_count(), before);
    }
    EXPECT_EQ(arena.object_count(), before);
}

TEST_F(SyncQueue, says_how_many_items_it_has_also_where_nobody_gets_any) {
    const mp::Queue<int> queue;
    EXPECT_EQ(queue.qsize(), 0u);
    const auto drain = [](mp::Queue<int> mine, int count) {
        for (int i = 0; i < count; ++i) (void)mine.get();
    };
    for (int round = 0; round < 4; ++round) {
        constexpr int count = 20'000;  // more than a ring takes
        for (int i = 0; i < count; ++i) queue.put(i);
        EXPECT_EQ(queue.qsize(), static_cast<std::size_t>(count));
        mp::Process consumer(drain, queue, count - 100);
        consumer.start();
        consumer.result();
        EXPECT_EQ(queue.qsize(), 100u);
        EXPECT_FALSE(queue.empty());
        drain(queue, 100);
    }
}

TEST_F(SyncQueue, old_rings_go_although_somebody_waits) {
    mp::Arena& arena = mp::Runtime::get().arena();
    const mp::Queue<std::string> queue, out;
    const std::size_t before = arena.object_count();
    std::vector<std::thread> consumers;
    for (int i = 0; i < 3; ++i) {
        consumers.emplace_back([&] {
            while (!queue.get().empty()) {}
            out.put("done");
        });
    }
    for (int burst = 0; burst < 10; ++burst) {
        for (int i = 0; i < 3'000; ++i) queue.put("an item");
        ASSERT_TRUE(mp::test::holds_soon([&] { return queue.empty(); }));
    }
    EXPECT_TRUE(mp::test::holds_soon([&] { return arena.object_count() <= before + 2; }));
    for (int i = 0; i < 3; ++i) queue.put("");
    for (std::thread& consumer : consumers) consumer.join();
}

// A process that has an item hands it on and lets go of it, again and again: nothing is freed under its receiver.
TEST_F(SyncQueue, what_an_item_refers_to_is_there_when_its_sender_has_let_go_of_it) {
    const mp::Queue<mp::RawValue<int>> queue(2);
    mp::Process sender(
        [](mp::Queue<mp::RawValue<int>> out) {
            for (int i = 0; i < 30'000; ++i) out.put(mp::RawValue<int>(i));
        },
        queue);
    sender.start();
    for (int i = 0; i < 30'000; ++i) ASSERT_EQ(*queue.get(), i);
    sender.result();
}

// A consumer that is slow with an item is overtaken by a whole lap: the others stop there, and go on when it is done.
TEST_F(SyncQueue, an_item_that_is_still_being_taken_is_not_passed_over) {
    alignas(64) static std::byte memory[4096];
    auto& ring = *new (memory) mp::QueueRing();
    ring.set_up(2, 2, 64);
    const auto put = [&] {
        const mp::QueueRing::Claim claim = ring.claim(mp::QueueRing::self());
        if (claim.result == mp::QueueRing::Result::done) ring.publish(claim);
        return claim.result;
    };
    ASSERT_EQ(put(), mp::QueueRing::Result::done);
    ASSERT_EQ(put(), mp::QueueRing::Result::done);
    const mp::QueueRing::Claim slow = ring.take(mp::QueueRing::self());
    ring.free(ring.take(mp::QueueRing::self()));
    EXPECT_EQ(ring.take(mp::QueueRing::self()).result, mp::QueueRing::Result::busy);
    EXPECT_EQ(put(), mp::QueueRing::Result::no);
    EXPECT_FALSE(ring.has_news());
    ring.free(slow);
    EXPECT_EQ(put(), mp::QueueRing::Result::done);
    EXPECT_EQ(put(), mp::QueueRing::Result::done);
    ring.free(ring.take(mp::QueueRing::self()));
    ring.free(ring.take(mp::QueueRing::self()));
    EXPECT_EQ(ring.take(mp::QueueRing::self()).result, mp::QueueRing::Result::no);
    EXPECT_EQ(ring.size(), 0u);
}

TEST_F(SyncQueue, a_joinable_one_counts_what_was_lost_while_it_was_taken_as_done) {
    const mp::JoinableQueue<std::string> queue;
    for (int round = 0; round < 20; ++round) {
        for (int i = 0; i < 200; ++i) queue.put(std::string(2'000, 'x'));
        mp::Process killed(
            [](mp::JoinableQueue<std::string> mine) {
                for (;;) {
                    (void)mine.get();
                    mine.task_done();
                }
            },
            queue);
        killed.start();
        std::this_thread::sleep_for(std::chrono::microseconds(150 * round));  // anywhere in it
        killed.kill();
        killed.join();
        // One that it had got and not said to be done is missing for good: that is the only one.
        int done = 0;
        while (queue.try_get()) {
            queue.task_done();
            ++done;
        }
        if (!queue.join_for(200ms)) queue.task_done();
        EXPECT_TRUE(queue.join_for(10s)) << round << ": " << done;
    }
}

// ---- a process is killed at a certain place ----

template <class Handle>
mp::detail::QueueState& state_of(const Handle& queue) {
    return mp::detail::queue_in(mp::detail::state_of(*mp::detail::HandleAccess::object(queue)));
}
mp::QueueRing& ring_in(std::uint64_t name) {
    return *reinterpret_cast<mp::QueueRing*>(mp::Runtime::get().arena().payload(mp::Arena::Ref::unpack(name)));
}

// Makes a ring that follows the queue's, up to a certain step, and dies.
void append_ring(const mp::Queue<int>& queue, bool links) {
    mp::Arena& arena = mp::Runtime::get().arena();
    mp::detail::QueueState& state = state_of(queue);
    const mp::Arena::Ref more = mp::detail::make_ring(arena, 64, 64, state.stride);
    mp::QueueRing& ring = ring_in(more.pack());
    ring.previous.store(state.last.load());
    ring.linker.store(mp::Runtime::get().self() + 1);
    arena.mark_owned(more);
    if (links) ring_in(state.last.load()).next.store(more.pack());
    mp::test::die(mp::test::Death::kill);
}

TEST_F(SyncQueue, a_ring_that_a_process_made_and_had_no_time_to_add_is_not_left) {
    mp::Arena& arena = mp::Runtime::get().arena();
    const std::size_t before = arena.object_count();
    {
        const mp::Queue<int> queue;
        const std::size_t with_queue = arena.object_count();
        mp::Process killed(append_ring, queue, false);
        killed.start();
        killed.join();
        killed.close();
        EXPECT_TRUE(mp::test::holds_soon([&] { return arena.object_count() == with_queue; }));
        for (int i = 0; i < 5'000; ++i) queue.put(i);
        for (int i = 0; i < 5'000; ++i) ASSERT_EQ(queue.get(), i);
    }
    EXPECT_TRUE(mp::test::holds_soon([&] { return arena.object_count() == before; }));
}

TEST_F(SyncQueue, one_that_it_had_just_added_is_used) {
    mp::Arena& arena = mp::Runtime::get().arena();
    const std::size_t before = arena.object_count();
    {
        const mp::Queue<int> queue;
        mp::Process killed(append_ring, queue, true);
        killed.start();
        killed.join();
        killed.close();
        for (int i = 0; i < 5'000; ++i) queue.put(i);
        for (int i = 0; i < 5'000; ++i) ASSERT_EQ(queue.get(), i);
    }
    EXPECT_TRUE(mp::test::holds_soon([&] { return arena.object_count() == before; }));
}

// What they were sending is either in the queue, and goes with it, or is gone with them.
TEST_F(SyncQueue, nothing_is_left_of_items_whose_senders_were_killed) {
    mp::Arena& arena = mp::Runtime::get().arena();
    const std::size_t before = arena.object_count();
    {
        const mp::Lock lock;
        for (int round = 0; round < 12; ++round) {
            const mp::Queue<std::pair<mp::Lock, std::string>> queue;
            mp::Process killed(
                [](mp::Queue<std::pair<mp::Lock, std::string>> mine, mp::Lock its) {
                    for (;;) mine.put({its, "an item"});
                },
                queue, lock);
            killed.start();
            (void)queue.get();
            std::this_thread::sleep_for(std::chrono::microseconds(100 * round));  // anywhere in it
            killed.kill();
            killed.join();
        }
    }
    EXPECT_TRUE(mp::test::holds_soon([&] { return arena.object_count() == before; }));
}

enum class Step : std::uint8_t { claimed, taken };

TEST_F(SyncQueue, a_joinable_one_is_joined_also_if_a_process_was_killed_in_put_or_get) {
    const auto die_at = [](mp::JoinableQueue<int> queue, Step step) {
        mp::QueueRing& ring = ring_in(state_of(queue).first.load());
        const std::uint32_t self = mp::QueueRing::self();
        const mp::QueueRing::Claim claim = step == Step::claimed ? ring.claim(self) : ring.take(self);
        mp::test::die(claim.result == mp::QueueRing::Result::done ? mp::test::Death::kill : mp::test::Death::exit);
    };
    for (const int limit : {0, 4}) {
        for (const Step step : {Step::claimed, Step::taken}) {
            const mp::JoinableQueue<int> queue(limit);
            queue.put(1);
            mp::Process killed(die_at, queue, step);
            killed.start();
            killed.join();
            EXPECT_TRUE(mp::test::is_how(*killed.exit_status(), mp::test::Death::kill));
            if (step == Step::claimed) {
                EXPECT_FALSE(queue.join_for(10ms));
                EXPECT_EQ(queue.get(), 1);
                EXPECT_FALSE(queue.join_for(10ms));
                queue.task_done();
            }
            EXPECT_TRUE(queue.join_for(60s));
            EXPECT_THROW(queue.task_done(), std::logic_error);
        }
    }
}

// The item was taken, so there is room; but the slot is not free until its taker goes on.
TEST_F(SyncQueue, put_without_waiting_has_patience_with_a_taker_that_was_interrupted) {
    const mp::Queue<int> queue(2);
    queue.put(1);
    queue.put(2);
    mp::QueueRing& ring = ring_in(state_of(queue).first.load());
    EXPECT_FALSE(queue.try_put(3));
    const mp::QueueRing::Claim slow = ring.take(mp::QueueRing::self());
    ASSERT_EQ(slow.result, mp::QueueRing::Result::done);
    EXPECT_FALSE(queue.try_put(3));  // but not for ever
    std::atomic<bool> is_put{false};
    std::thread producer([&] {
        while (!queue.try_put(3)) {}
        is_put = true;
    });
    ring.free(slow);
    producer.join();
    EXPECT_TRUE(is_put);
    EXPECT_EQ(queue.get(), 2);
    EXPECT_EQ(queue.get(), 3);
}

// Producers and consumers are killed at random and replaced: each item is lost or comes once, and at most one is lost per
// death.
TEST_F(SyncQueue, a_death_costs_one_item_at_most_whatever_it_was_doing) {
    const mp::Queue<std::pair<int, int>> queue(64);
    const mp::Queue<std::pair<int, int>> results;
    const auto run_producer = [](mp::Queue<std::pair<int, int>> out, mp::RawArray<int> counts, int id) {
        for (;;) {
            const int next = counts[static_cast<std::size_t>(id)] + 1;
            out.put({id, next});
            mp::test::atomic_in(counts[static_cast<std::size_t>(id)]).store(next);
        }
    };
    const auto run_consumer = [](mp::Queue<std::pair<int, int>> in, mp::Queue<std::pair<int, int>> out) {
        for (;;) out.put(in.get());
    };
    constexpr std::size_t pairs = 2;
    constexpr int deaths = 30;
    const mp::RawArray<int> counts(pairs);
    std::vector<mp::Process<void>> producers, consumers;
    for (std::size_t i = 0; i < pairs; ++i) {
        producers.emplace_back(run_producer, queue, counts, static_cast<int>(i));
        producers.back().start();
        consumers.emplace_back(run_consumer, queue, results);
        consumers.back().start();
    }
    std::map<std::pair<int, int>, int> seen;
    const auto drain = [&](int at_least) {
        for (int i = 0; i < at_least; ++i) ++seen[results.get(true, 60s)];
    };
    for (int death = 0; death < deaths; ++death) {
        drain(200);
        auto& victims = death % 2 == 0 ? producers : consumers;
        auto& victim = victims[static_cast<std::size_t>(death) / 2 % pairs];
        victim.kill();
        victim.join();
        if (death % 2 == 0) {
            victim = mp::Process<void>(run_producer, queue, counts, death / 2 % static_cast<int>(pairs));
        } else {
            victim = mp::Process<void>(run_consumer, queue, results);
        }
        victim.start();
    }
    for (auto& producer : producers) {
        producer.kill();
        producer.join();
    }
    while (const auto item = results.try_get_for(300ms)) ++seen[*item];
    for (auto& consumer : consumers) {
        consumer.kill();
        consumer.join();
    }
    // A producer that was killed between `put` and its note has its successor put the same number again.
    int repeated = 0, missing = 0;
    for (const auto& [item, times] : seen) repeated += times - 1;
    for (std::size_t i = 0; i < pairs; ++i)
        for (int number = 1; number <= counts[i]; ++number)
            if (!seen.contains({static_cast<int>(i), number})) ++missing;
    EXPECT_LE(repeated, deaths / 2);
    EXPECT_LE(missing, deaths / 2 + static_cast<int>(pairs));  // only those that consumers took and had not put
    EXPECT_TRUE(queue.empty());
}

}  // namespace
