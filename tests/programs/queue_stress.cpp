// Eight producers and eight consumers on one queue, and every now and then one of them is killed and replaced. At the end
// every item is accounted for: it came out once, or was lost with a process that died, one for each at most.
//
// usage: queue_stress SECONDS [MILLISECONDS BETWEEN DEATHS] [LIMIT OF THE QUEUE] [BYTES OF AN ITEM] [SEED]
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "support/atomic_in.hpp"

namespace {

namespace mp = multiproc;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::size_t each = 8;
constexpr std::uint32_t items_of_producer = 1 << 18;  // then it ends, and another takes its place
constexpr std::size_t most_producers = 20'000;

struct Item {
    std::uint32_t producer = 0;
    std::uint32_t number = 0;
    std::string rest;
};
using ItemQueue = mp::Queue<Item>;
using Words = mp::SharedArray<std::uint64_t>;

std::atomic<std::uint64_t>& at(const Words& words, std::size_t index) { return mp::test::atomic_in(words[index]); }

// Notes each number when it has been put.
void produce(ItemQueue queue, Words put, std::uint32_t producer, std::size_t bytes) {
    Item item{producer, 0, std::string(bytes, static_cast<char>('a' + producer % 26))};
    for (; item.number < items_of_producer; ++item.number) {
        queue.put(item);
        at(put, producer).store(item.number + 1);
    }
}

enum Tally : std::size_t { twice, garbled, tallies };

// Marks what it got, in a bit for each item.
void consume(ItemQueue queue, Words marks, Words tally) {
    for (;;) {
        const Item item = queue.get();
        const std::uint64_t index = std::uint64_t{item.producer % 512} * items_of_producer + item.number;
        const std::uint64_t bit = std::uint64_t{1} << index % 64;
        if ((at(marks, index / 64).fetch_or(bit) & bit) != 0) at(tally, twice).fetch_add(1);
        const char expected = static_cast<char>('a' + item.producer % 26);
        if (item.rest.find_first_not_of(expected) != std::string::npos) at(tally, garbled).fetch_add(1);
    }
}

long long argument(int argc, char** argv, int index, long long otherwise) {
    return argc > index ? std::strtoll(argv[index], nullptr, 10) : otherwise;
}

class Stress {
public:
    Stress(long long limit, std::size_t bytes, std::uint64_t seed)
        : queue_(limit),
          bytes_(bytes),
          random_(seed),
          put_(most_producers),
          marks_(512 * items_of_producer / 64),
          tally_(tallies) {
        for (std::size_t i = 0; i < each; ++i) {
            producers_.push_back(new_producer());
            consumers_.push_back(new_consumer());
        }
    }

    void run(std::chrono::seconds time, std::chrono::milliseconds between) {
        const auto end = Clock::now() + time;
        auto death = Clock::now() + between;
        while (Clock::now() < end && next_producer_ + 2 * each < most_producers) {
            std::this_thread::sleep_for(5ms);
            for (auto& producer : producers_)
                if (!producer.process.is_alive()) replace(producer);
            if (Clock::now() < death) continue;
            death += between;
            kill_one();
        }
    }

    // Whether all is as it should be.
    bool finish() {
        for (auto& producer : producers_) {
            if (producer.process.is_alive()) ++deaths_;
            producer.process.kill();
            producer.process.join();
        }
        while (!queue_.empty()) std::this_thread::sleep_for(1ms);
        std::this_thread::sleep_for(200ms);  // for what they have taken
        for (auto& consumer : consumers_) {
            consumer.kill();
            consumer.join();
        }
        for (auto& producer : producers_) account(producer.number);
        for (const std::uint32_t producer : waiting_) account(producer);
        const std::uint64_t repeated = at(tally_, twice).load(), broken = at(tally_, garbled).load();
        std::printf("%llu items, %llu deaths, %llu lost, %llu twice, %llu garbled\n",
                    static_cast<unsigned long long>(items_), static_cast<unsigned long long>(deaths_),
                    static_cast<unsigned long long>(lost_), static_cast<unsigned long long>(repeated),
                    static_cast<unsigned long long>(broken));
        return repeated == 0 && broken == 0 && lost_ <= deaths_;
    }

private:
    struct Producer {
        mp::Process<void> process;
        std::uint32_t number;
    };

    Producer new_producer() {
        const std::uint32_t number = next_producer_++;
        // Its bits are those of one long gone: that must be accounted for before.
        while (!waiting_.empty() && waiting_.front() + 400 < number) {
            account(waiting_.front());
            waiting_.erase(waiting_.begin());
        }
        Producer producer{mp::Process<void>(produce, queue_, put_, number, bytes_), number};
        producer.process.start();
        return producer;
    }
    mp::Process<void> new_consumer() {
        mp::Process<void> consumer(consume, queue_, marks_, tally_);
        consumer.start();
        return consumer;
    }
    void replace(Producer& producer) {
        producer.process.join();
        waiting_.push_back(producer.number);
        producer = new_producer();
    }
    void kill_one() {
        ++deaths_;
        const std::size_t victim = random_() % (2 * each);
        if (victim < each) {
            producers_[victim].process.kill();
            replace(producers_[victim]);
        } else {
            mp::Process<void>& consumer = consumers_[victim - each];
            consumer.kill();
            consumer.join();
            consumer = new_consumer();
        }
    }
    // Counts what is missing of a producer that has ended, and forgets its bits.
    void account(std::uint32_t producer) {
        const std::uint64_t noted = at(put_, producer).load();
        items_ += noted;
        const std::size_t first = std::size_t{producer % 512} * items_of_producer / 64;
        for (std::uint64_t i = 0; i < noted; ++i)
            if ((at(marks_, first + i / 64).load() >> i % 64 & 1) == 0) ++lost_;
        for (std::size_t i = 0; i < items_of_producer / 64; ++i) at(marks_, first + i).store(0);
    }

    ItemQueue queue_;
    std::size_t bytes_;
    std::mt19937_64 random_;
    Words put_, marks_, tally_;
    std::vector<Producer> producers_;
    std::vector<mp::Process<void>> consumers_;
    std::vector<std::uint32_t> waiting_;  // producers that have ended and are not accounted for
    std::uint32_t next_producer_ = 0;
    std::uint64_t deaths_ = 0, items_ = 0, lost_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
    mp::freeze_support();
    const auto seed = static_cast<std::uint64_t>(argument(argc, argv, 5, 1));
    Stress stress(argument(argc, argv, 3, 0), static_cast<std::size_t>(argument(argc, argv, 4, 0)), seed);
    stress.run(std::chrono::seconds(argument(argc, argv, 1, 600)),
               std::chrono::milliseconds(argument(argc, argv, 2, 1000)));
    return stress.finish() ? 0 : 1;
}
