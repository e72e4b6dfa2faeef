// SharedArrays, and items too large for the memory that all objects share, on their way through queues and pipes.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "os.hpp"
#include "runtime.hpp"
#include "support/die.hpp"
#include "support/each_start_method.hpp"

namespace {

using namespace std::chrono_literals;
namespace mp = multiproc;
using mp::test::die, mp::test::Death, mp::test::holds_soon;
using Numbers = mp::SharedArray<int>;
using Numbers64 = mp::SharedArray<std::uint64_t>;

// Nothing may be left in the arena either.
class SyncSharedArray : public mp::test::EachStartMethod {
protected:
    void SetUp() override {
        EachStartMethod::SetUp();
        objects_ = arena().object_count();
    }
    void TearDown() override {
        EXPECT_TRUE(holds_soon([this] { return arena().object_count() <= objects_; }))
            << arena().object_count() << " objects, " << objects_ << " before the test";
        EachStartMethod::TearDown();
    }
    static mp::Arena& arena() { return mp::Runtime::get().arena(); }

private:
    std::size_t objects_ = 0;
};

Numbers numbers_from(int first, std::size_t count = 100'000) {
    Numbers numbers(count);
    std::iota(numbers.begin(), numbers.end(), first);
    return numbers;
}
bool are_numbers_from(const Numbers& numbers, int first, std::size_t count = 100'000) {
    if (numbers.size() != count) return false;
    return std::ranges::all_of(numbers, [&](int number) { return number == first++; });
}

// ---- there and back -------------------------------------------------------------------------------------------------

void add_one(mp::Queue<Numbers> in, mp::Queue<Numbers> out) {
    const Numbers numbers = in.get();
    for (int& number : numbers) ++number;
    out.put(numbers);
}

TEST_F(SyncSharedArray, goes_through_a_queue_and_is_the_same_memory_there) {
    const mp::Queue<Numbers> there, back;
    const Numbers numbers = numbers_from(5);
    mp::Process process(add_one, there, back);
    process.start();
    there.put(numbers);
    const Numbers same = back.get();
    process.join();
    EXPECT_TRUE(are_numbers_from(numbers, 6));
    EXPECT_EQ(same.data(), numbers.data()) << "mapped once in a process";
}

TEST_F(SyncSharedArray, goes_through_a_queue_within_one_process) {
    const mp::Queue<Numbers> queue;
    queue.put(numbers_from(5));
    EXPECT_TRUE(are_numbers_from(queue.get(), 5));
    const Numbers numbers = numbers_from(6);
    queue.put(numbers);
    EXPECT_EQ(queue.get().data(), numbers.data());
}

void have_grandchild_add_one(mp::Queue<Numbers> in, mp::Queue<Numbers> out) {
    mp::Process process(add_one, in, out);
    process.start();
    process.join();
}

TEST_F(SyncSharedArray, goes_to_a_grandchild_and_comes_back_from_it) {
    const mp::Queue<Numbers> there, back;
    mp::Process process(have_grandchild_add_one, there, back);
    process.start();
    there.put(numbers_from(7));
    EXPECT_TRUE(are_numbers_from(back.get(), 8));
    process.join();
}

struct Frame {
    std::string name;
    Numbers pixels;
    mp::SharedMemory raw;
    std::vector<Numbers> parts;
    mp::Lock lock;
};

void return_frame(mp::Connection<Frame, Frame> connection, mp::SimpleQueue<Frame> simple,
                  mp::JoinableQueue<Frame> joinable) {
    const Frame frame = connection.recv();
    frame.parts[1][0] = 17;
    frame.raw.data()[1] = std::byte{18};
    connection.send(frame);
    simple.put(frame);
    joinable.put(frame);
}

TEST_F(SyncSharedArray, goes_with_others_inside_of_anything_through_every_kind_of_queue) {
    const auto [here, there] = mp::pipe<Frame>();
    const mp::SimpleQueue<Frame> simple;
    const mp::JoinableQueue<Frame> joinable;
    mp::Process process(return_frame, there, simple, joinable);
    process.start();
    Frame sent{"one", numbers_from(1), mp::SharedMemory(5000), {numbers_from(2), numbers_from(3)}, {}};
    sent.parts.push_back(sent.pixels.slice(10, 20));  // of the same memory
    sent.parts.push_back(sent.parts[0]);
    here.send(sent);
    const auto check = [&](const Frame& got, const char* by) {
        EXPECT_EQ(got.name, "one") << by;
        EXPECT_TRUE(are_numbers_from(got.pixels, 1)) << by;
        EXPECT_EQ(got.raw.data()[1], std::byte{18}) << by;
        ASSERT_EQ(got.parts.size(), 4u) << by;
        EXPECT_TRUE(are_numbers_from(got.parts[0], 2)) << by;
        EXPECT_EQ(got.parts[1][0], 17) << by;
        EXPECT_EQ(got.parts[2].data(), got.pixels.data() + 10) << by;
        EXPECT_EQ(got.parts[3].data(), got.parts[0].data()) << by;
        EXPECT_TRUE(got.lock == sent.lock) << by;
    };
    check(here.recv(), "pipe");
    process.join();
    check(simple.get(), "simple queue, after the sender has ended");
    check(joinable.get(), "joinable queue");
    joinable.task_done();
    EXPECT_TRUE(joinable.join_for(0s));
}

// ---- a thousand times -------------------------------------------------------------------------------------------------

// The most handles that it ever had, once it has begun.
std::size_t play(mp::Queue<Numbers64> in, mp::Queue<Numbers64> out) {
    std::size_t begin = 0, most = 0;
    for (int round = 0;; ++round) {
        const Numbers64 ball = in.get();
        if (ball.empty()) return most - begin;
        ++ball[0];
        if (round == 10) begin = most = mp::os::open_handle_count();
        if (round % 50 == 10) most = std::max(most, mp::os::open_handle_count());
        out.put(ball);
    }
}

TEST_F(SyncSharedArray, comes_and_goes_a_thousand_times_without_a_handle_more_anywhere) {
    const mp::Queue<Numbers64> there, back;
    mp::Process process(play, there, back);
    process.start();
    std::size_t begin = 0;
    for (std::uint64_t round = 0; round < 1000; ++round) {
        // A fresh one every other time; else the other process has nothing but what it gets here, too.
        Numbers64 ball(4096);
        ball[0] = round;
        there.put(ball);
        if (round % 2 == 0) ball = {};
        const Numbers64 returned = back.get();
        ASSERT_EQ(returned[0], round + 1);
        if (round == 20) begin = mp::os::open_handle_count();
    }
    // What the other process has let go of is closed here a moment later.
    EXPECT_TRUE(holds_soon([&] { return mp::os::open_handle_count() <= begin; })) << mp::os::open_handle_count();
    there.put({});
    EXPECT_LE(process.result(), 2u) << "what came last may not be closed yet when the next is there";
}

// ---- senders that are gone --------------------------------------------------------------------------------------------

void put_and_end(mp::Queue<Numbers> queue, int first, bool is_killed) {
    queue.put(numbers_from(first));
    if (is_killed) die(Death::kill);
}

TEST_F(SyncSharedArray, is_delivered_though_its_sender_has_ended_or_was_killed) {
    const mp::Queue<Numbers> queue;
    for (const bool is_killed : {false, true}) {
        for (int first = 0; first < 3; ++first) {
            mp::Process process(put_and_end, queue, first, is_killed);
            process.start();
            process.join();
        }
        for (int first = 0; first < 3; ++first) EXPECT_TRUE(are_numbers_from(queue.get(), first));
    }
    EXPECT_TRUE(queue.empty());
}

void put_for_ever(mp::Queue<Numbers> queue, mp::Queue<int> begun) {
    begun.put(1);
    for (;;) queue.put(numbers_from(3, 1000));
}

TEST_F(SyncSharedArray, a_sender_that_is_killed_at_any_instant_leaves_whole_items_and_nothing_else) {
    for (int round = 0; round < 5; ++round) {
        const mp::Queue<Numbers> queue(4);
        const mp::Queue<int> begun;
        mp::Process process(put_for_ever, queue, begun);
        process.start();
        begun.get();
        for (int i = 0; i < round; ++i) ASSERT_TRUE(are_numbers_from(queue.get(), 3, 1000));
        process.kill();
        process.join();
        while (const std::optional<Numbers> rest = queue.try_get()) ASSERT_TRUE(are_numbers_from(*rest, 3, 1000));
    }
}

// ---- receivers that are gone ------------------------------------------------------------------------------------------

void get_for_ever(mp::Queue<Numbers> queue, mp::Queue<int> got) {
    for (;;) {
        const Numbers numbers = queue.get();
        got.put(are_numbers_from(numbers, 3, 1000) ? 1 : 0);
    }
}

TEST_F(SyncSharedArray, a_receiver_that_is_killed_in_the_middle_leaves_nothing) {
    for (int round = 0; round < 5; ++round) {
        const mp::Queue<Numbers> queue;
        const mp::Queue<int> got;
        for (int i = 0; i < 40; ++i) queue.put(numbers_from(3, 1000));
        mp::Process process(get_for_ever, queue, got);
        process.start();
        for (int i = 0; i <= round; ++i) ASSERT_EQ(got.get(), 1);
        process.kill();
        process.join();
        while (const std::optional<Numbers> rest = queue.try_get()) ASSERT_TRUE(are_numbers_from(*rest, 3, 1000));
    }
}

TEST_F(SyncSharedArray, leaves_nothing_when_its_queue_is_dropped) {
    const std::size_t before = mp::os::open_handle_count();
    {
        const mp::Queue<Numbers> queue;
        for (int i = 0; i < 50; ++i) queue.put(numbers_from(i));
        mp::Process process(put_and_end, queue, 1, true);
        process.start();
        process.join();
        EXPECT_GT(mp::os::open_handle_count(), before + 50);
    }
    EXPECT_TRUE(holds_soon([&] { return mp::os::open_handle_count() <= before; })) << mp::os::open_handle_count();
}

void fill_and_drop() {
    const mp::Queue<Numbers> queue;
    for (int i = 0; i < 50; ++i) queue.put(numbers_from(i));
}

TEST_F(SyncSharedArray, leaves_nothing_in_the_first_process_when_another_drops_its_queue) {
    mp::Process process(fill_and_drop);
    process.start();
    process.join();
    EXPECT_EQ(process.exit_status(), mp::ExitStatus::exited(0));
}

// ---- in a pool --------------------------------------------------------------------------------------------------------

int get_and_add(mp::Queue<Numbers> queue, Numbers sums) {
    const Numbers numbers = queue.get();
    const int sum = std::accumulate(numbers.begin(), numbers.end(), 0);
    sums[static_cast<std::size_t>(numbers[0])] = sum;
    return sum;
}
Numbers get_and_return(mp::Queue<Numbers> queue) { return queue.get(); }

TEST_F(SyncSharedArray, from_a_queue_and_from_a_call_go_together) {
    mp::Pool pool(2);
    const mp::Queue<Numbers> queue;
    const Numbers sums(20);
    for (int i = 0; i < 20; ++i) queue.put(numbers_from(i, 3));
    pool.starmap(get_and_add, std::vector(20, std::tuple(queue, sums)));
    for (int i = 0; i < 20; ++i) EXPECT_EQ(sums[static_cast<std::size_t>(i)], 3 * i + 3);
    queue.put(numbers_from(9));
    EXPECT_TRUE(are_numbers_from(pool.apply(get_and_return, queue), 9)) << "a result that came by a queue";
}

// ---- large items ------------------------------------------------------------------------------------------------------

std::vector<char> pattern(std::size_t size) {
    std::vector<char> bytes(size);
    for (std::size_t i = 0; i < size; i += 4096) bytes[i] = static_cast<char>(i / 4096 * 7);
    if (size != 0) bytes[size - 1] = 'e';
    return bytes;
}

void put_large(mp::Queue<std::vector<char>> queue, std::size_t size) {
    queue.put(pattern(size));
    die(Death::kill);
}

TEST_F(SyncSharedArray, a_large_item_has_memory_of_its_own_and_needs_its_sender_no_more) {
    const mp::Queue<std::vector<char>> queue;
    for (const std::size_t size : {(std::size_t{16} << 20) - 8, std::size_t{18} << 20}) {
        mp::Process process(put_large, queue, size);
        process.start();
        process.join();
        EXPECT_TRUE(queue.get() == pattern(size)) << size;
    }
}

using Parts = std::vector<std::pair<std::vector<char>, Numbers>>;
void return_parts(mp::Queue<Parts> in, mp::Queue<Parts> out) { out.put(in.get()); }

TEST_F(SyncSharedArray, goes_with_a_large_item_that_grows_while_it_is_written) {
    const mp::Queue<Parts> there, back;
    Parts parts;
    for (int i = 0; i < 20; ++i) parts.emplace_back(pattern(1'000'003), numbers_from(i, 10));
    mp::Process process(return_parts, there, back);
    process.start();
    there.put(parts);
    const Parts got = back.get();
    process.join();
    ASSERT_EQ(got.size(), parts.size());
    for (int i = 0; i < 20; ++i) {
        const auto place = static_cast<std::size_t>(i);
        EXPECT_TRUE(got[place].first == parts[place].first) << i;
        EXPECT_TRUE(are_numbers_from(got[place].second, i, 10)) << i;
    }
}

}  // namespace
