// Queues: who puts, who takes out, and who comes to what a dead one has left in a slot.
#include <algorithm>
#include <atomic>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "plan.hpp"

namespace multiproc::test {
namespace {

constexpr int queues_with_rings = 6;
constexpr int burst = 1'300;  // so many items go on to a second and a third ring

// One queue for each way that an item can take, each with numbers from 0 on.
struct Lines {
    Queue<int> small{4};             // in slots, of which there are few
    Queue<std::string> text;         // in slots, or in parcels of their own
    Queue<SharedArray<int>> arrays;  // with shared memory besides
    Queue<RawValue<int>> objects;    // with objects that they refer to
    JoinableQueue<int> counted;      //
    std::vector<Queue<int>> rings{queues_with_rings};

    template <class Archive>
    void serialize(Archive& archive) {
        archive(small, text, arrays, objects, counted, rings);
    }
};

std::string text_of(int number) {
    return std::to_string(number) + ' ' + std::string(number % 2 == 0 ? 5 : 20'000, 'x');
}
int number_in(const std::string& text) { return std::stoi(text); }

SharedArray<int> array_of(int number) { return SharedArray<int>(2'000, number); }

RawValue<int> object_of(int number) {
    const RawValue<int> value;
    *value = number;
    return value;
}

// ---- the victim puts -------------------------------------------------------------------------------------------------

void put_until_dead(Plan plan, Lines lines) {
    plan.begin();
    for (int i = 0; i < 1'000; ++i) {
        lines.small.put(i);
        lines.text.put(text_of(i));
        lines.arrays.put(array_of(i));
        lines.objects.put(object_of(i));
        lines.counted.put(i);
        const Queue<int>& rings = lines.rings[static_cast<std::size_t>(i % queues_with_rings)];
        if (i < queues_with_rings)
            for (int j = 0; j < burst; ++j) rings.put(j);
    }
}

// Counts what comes out of a queue, which must be 0, 1, 2, ...
class Reader {
public:
    // `next`: the number in the next item, or nothing if there is none for a moment.
    explicit Reader(std::function<std::optional<int>()> next)
        : thread_([this, next = std::move(next)] {
              while (!is_last_.load()) read(next, true);
              read(next, false);
          }) {}
    // Reads what is left.
    int finish() {
        is_last_ = true;
        thread_.join();
        EXPECT_TRUE(in_order_) << "something else than the next item came";
        return count_;
    }

private:
    void read(const std::function<std::optional<int>()>& next, bool once) {
        while (const std::optional<int> number = next()) {
            in_order_ = in_order_ && *number == count_;
            ++count_;
            if (once) return;
        }
    }

    std::atomic<bool> is_last_{false};
    bool in_order_ = true;
    int count_ = 0;
    std::thread thread_;
};

template <class Q, class Number>
std::function<std::optional<int>()> numbers_of(const Q& queue, Number number) {
    return [&queue, number]() -> std::optional<int> {
        const auto item = queue.try_get_for(100ms);
        if (!item) return std::nullopt;
        return number(*item);
    };
}

// It takes what is put, in both directions and all ways.
template <class Q, class T>
void expect_usable(const Q& queue, const T& item) {
    for (int i = 0; i < 3; ++i) queue.put(item);
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(queue.try_get_for(long_enough).has_value());
    EXPECT_FALSE(queue.try_get().has_value());
}

void expect_all_usable(const Lines& lines) {
    expect_usable(lines.small, 1);
    expect_usable(lines.text, text_of(1));
    expect_usable(lines.arrays, array_of(1));
    expect_usable(lines.objects, object_of(1));
    for (const Queue<int>& rings : lines.rings) {
        expect_usable(rings, 1);
        for (int i = 0; i < 3 * burst; ++i) rings.put(i);
        for (int i = 0; i < 3 * burst; ++i) ASSERT_EQ(rings.get(), i);
    }
}

// ---- the victim takes out --------------------------------------------------------------------------------------------

constexpr int supply = 60;

void fill(const Lines& lines) {
    for (int i = 0; i < supply; ++i) {
        lines.text.put(text_of(i));
        lines.arrays.put(array_of(i));
        lines.objects.put(object_of(i));
        lines.counted.put(i);
    }
    for (const Queue<int>& rings : lines.rings)
        for (int j = 0; j < burst; ++j) rings.put(j);
}

// How many it has got out of each.
enum Line : std::uint8_t { small_line, text_line, array_line, object_line, counted_line, first_ring_line };
using Counts = RawArray<int>;

void get_until_dead(Plan plan, Lines lines, Counts counts) {
    plan.begin();
    for (int i = 0; i < supply; ++i) {
        lines.small.get();
        ++counts[small_line];
        lines.text.get();
        ++counts[text_line];
        lines.arrays.get();
        ++counts[array_line];
        lines.objects.get();
        ++counts[object_line];
        lines.counted.get();
        ++counts[counted_line];
        lines.counted.task_done();
        if (i >= queues_with_rings) continue;
        const auto line = static_cast<std::size_t>(i);
        for (int j = 0; j < burst; ++j) {
            lines.rings[line].get();
            ++counts[first_ring_line + line];
        }
    }
}

// How many items were lost: those that neither the victim nor this process has got.
template <class Q, class Number>
int lost_of(const Q& queue, int got, int put, Number number) {
    int lost = 0;
    while (const auto item = queue.try_get_for(100ms)) {
        const int next = number(*item);
        EXPECT_GE(next, got) << "an item came twice, or in the wrong order";
        lost += next - got;
        got = next + 1;
    }
    return lost + put - got;
}

// ---- the victim finds a dead one's slots ------------------------------------------------------------------------------

using Texts = Queue<std::string>;

void die_in_queue(std::uint16_t point, Texts queue) {
    die_at(static_cast<DeathPoint>(point));
    queue.put(text_of(1));
    queue.try_get();
}

constexpr DeathPoint deaths_in_queue[] = {DeathPoint::slot_claimed, DeathPoint::slot_names_parcel,
                                          DeathPoint::item_taken, DeathPoint::parcel_held, DeathPoint::item_read};

// Takes out what is there, and fills it.
void go_round(const Texts& queue) {
    while (queue.try_get_for(60ms)) {}
    for (int i = 0; queue.try_put_for(text_of(i), 60ms); ++i) {}
}

void inherit_queue_until_dead(Plan plan, Texts queue) {
    plan.begin();
    for (int i = 0; i < 4; ++i) {
        for (const DeathPoint point : deaths_in_queue) {
            Process corpse(die_in_queue, static_cast<std::uint16_t>(point), queue);
            corpse.start();
            corpse.join();
            go_round(queue);
            queue.try_get();  // so that the next one has room
        }
    }
}

}  // namespace

void test_puts(Plan plan) {
    const Lines lines;
    Process victim(put_until_dead, plan, lines);
    const auto itself = [](int number) { return number; };
    Reader small(numbers_of(lines.small, itself));
    Reader text(numbers_of(lines.text, number_in));
    Reader arrays(numbers_of(lines.arrays, [](const SharedArray<int>& array) { return array[1'999]; }));
    Reader objects(numbers_of(lines.objects, [](const RawValue<int>& value) { return *value; }));
    Reader counted([&]() -> std::optional<int> {
        const auto item = lines.counted.try_get_for(100ms);
        if (item) lines.counted.task_done();
        return item;
    });
    victim.start();
    expect_dead(victim);
    // Each line goes on to where it had come; the victim was at work on one item.
    const int counts[] = {small.finish(), text.finish(), arrays.finish(), objects.finish(), counted.finish()};
    EXPECT_LE(*std::ranges::max_element(counts) - *std::ranges::min_element(counts), 1);
    for (const Queue<int>& rings : lines.rings) {
        Reader reader(numbers_of(rings, itself));
        reader.finish();
    }
    expect_all_usable(lines);
    EXPECT_TRUE(lines.counted.join_for(long_enough)) << "what the dead one was putting counts as unfinished";
}

void test_gets(Plan plan) {
    const Lines lines;
    const Counts counts(first_ring_line + queues_with_rings);
    fill(lines);
    Process victim(get_until_dead, plan, lines, counts);
    victim.start();
    int fed = 0;
    while (!has_died() && fed < supply) fed += lines.small.try_put_for(fed, 100ms) ? 1 : 0;
    expect_dead(victim);
    if (plan.nth == 2) return;  // nobody comes to the queues again: what is in them goes with them
    const auto itself = [](int number) { return number; };
    int lost =
        lost_of(lines.small, counts[small_line], fed, itself) +
        lost_of(lines.text, counts[text_line], supply, number_in) +
        lost_of(lines.arrays, counts[array_line], supply, [](const SharedArray<int>& array) { return array[1'999]; }) +
        lost_of(lines.objects, counts[object_line], supply, [](const RawValue<int>& value) { return *value; });
    for (std::size_t i = 0; i < queues_with_rings; ++i)
        lost += lost_of(lines.rings[i], counts[first_ring_line + i], burst, itself);
    int mine = 0;
    const int lost_counted = lost_of(lines.counted, counts[counted_line], supply, [&](int number) {
        ++mine;
        return number;
    });
    EXPECT_LE(lost + lost_counted, 1) << "a death costs one item";
    for (int i = 0; i < mine; ++i) lines.counted.task_done();
    // If it had got an item, nobody will ever be done with that.
    if (!lines.counted.join_for(100ms)) {
        lines.counted.task_done();
        EXPECT_TRUE(lines.counted.join_for(long_enough));
    }
    EXPECT_THROW(lines.counted.task_done(), std::logic_error);
    expect_all_usable(lines);
}

void test_inherits_queue(Plan plan) {
    const Texts queue(4);
    Process victim(inherit_queue_until_dead, plan, queue);
    victim.start();
    expect_dead(victim);
    go_round(queue);
    while (queue.try_get_for(60ms)) {}
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(queue.try_put_for(text_of(i), long_enough)) << "each slot is there again";
    for (int i = 0; i < 4; ++i) EXPECT_EQ(queue.try_get_for(long_enough), text_of(i));
}

}  // namespace multiproc::test
