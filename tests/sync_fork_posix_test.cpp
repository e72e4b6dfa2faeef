// Shared objects in children made by fork, which have copies of all the handles of their parent.
#include <cstdint>
#include <memory>
#include <optional>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"

namespace {

namespace mp = multiproc;

class SyncFork : public mp::test::EachStartMethod {
protected:
    void SetUp() override {
        EachStartMethod::SetUp();
        mp::set_start_method(mp::StartMethod::fork);
    }
};

std::optional<mp::RawValue<int>> global;
std::optional<mp::Process<mp::RawArray<int>>> global_process;

TEST_F(SyncFork, what_a_child_has_by_copy_stays_while_it_lives) {
    global.emplace(1);
    const mp::Event dropped;
    mp::Process child(
        [](mp::Event event) {
            event.wait();
            **global = 666;
            return **global;
        },
        dropped);
    child.start();
    global.reset();
    const mp::RawValue<int> another(5);  // in the same place, were that free
    dropped.set();
    EXPECT_EQ(child.result(), 666);
    EXPECT_EQ(*another, 5);
}

TEST_F(SyncFork, what_a_child_has_by_copy_stays_after_it_was_passed_on) {
    static std::optional<mp::Queue<mp::RawValue<int>>> queue;
    queue.emplace();
    global.emplace(1);
    const mp::Event dropped;
    mp::Process child(
        [](mp::Event event) {
            queue->put(*global);
            queue->put(*global);
            event.wait();
            **global = 666;
            queue->close();
            try {
                queue->put(*global);
            } catch (const mp::ClosedError&) { return **global; }
            return 0;
        },
        dropped);
    child.start();
    EXPECT_EQ(*queue->get(), 1);
    EXPECT_EQ(*queue->get(), 1);
    global.reset();
    queue.reset();
    const mp::RawValue<int> another(5);
    dropped.set();
    EXPECT_EQ(child.result(), 666);
    EXPECT_EQ(*another, 5);
}

TEST_F(SyncFork, a_copy_that_drops_a_process_of_its_parent_takes_nothing_from_it) {
    global_process.emplace([] { return mp::RawArray<int>{1, 2, 3}; });
    global_process->start();
    global_process->join();
    mp::Process child([] { global_process.reset(); });
    child.start();
    child.result();
    EXPECT_EQ(global_process->result()[2], 3);
    global_process.reset();
}

TEST_F(SyncFork, locks_and_queues_of_the_parent_work_without_being_passed) {
    static std::optional<mp::Lock> lock;
    static std::optional<mp::Queue<int>> queue;
    lock.emplace();
    queue.emplace();
    lock->lock();
    mp::Process child([] {
        queue->put(1);
        lock->lock();
        queue->put(2);
        lock->unlock();
    });
    child.start();
    EXPECT_EQ(queue->get(), 1);
    EXPECT_FALSE(queue->try_get());
    lock->unlock();
    EXPECT_EQ(queue->get(), 2);
    child.result();
    lock.reset();
    queue.reset();
}

}  // namespace
