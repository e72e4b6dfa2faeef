// Producers and consumers at a queue, which die: an item comes out once, in the order of its producer, and is lost only
// with a process that was at work on it.
#include <algorithm>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "scenario.hpp"
#include "support/atomic_in.hpp"

namespace chaos {
namespace {

namespace mp = multiproc;
using namespace std::chrono_literals;

struct Item {
    std::uint32_t producer = 0;
    std::uint32_t number = 0;
    std::uint32_t mark = 0;
    std::string text;
};

struct Producer {
    std::uint32_t number = 0, group = 0, most_bytes = 0;
    std::uint64_t seed = 0;
};

// Whether the item is in.
template <class Q>
bool put(const Q& queue, const Item& item, const mp::Event& stop) {
    if constexpr (std::is_same_v<Q, mp::SimpleQueue<Item>>) {
        queue.put(item);
        return true;
    } else {
        while (!queue.try_put_for(item, 50ms))
            if (stop.is_set()) return false;
        return true;
    }
}

template <class Q>
void produce(Q queue, mp::Event stop, Producer producer) {
    Random random(producer.seed);
    for (std::uint32_t number = 1; !stop.is_set() && ledger().has_marks(1000); ++number) {
        const std::uint32_t mark = ledger().new_mark();
        attempt("putting an item", [&] {
            const Item item{producer.number, number, mark, text_of(mark, random.about(producer.most_bytes))};
            if (put(queue, item, stop)) ledger().promise(mark, producer.group);
        });
        // Now and then, or a queue without limit would soon have all the memory there is.
        if (random.one_in(32)) std::this_thread::sleep_for(1ms);
    }
}

struct Seen {
    std::map<std::uint32_t, std::uint32_t> last;  // of each producer
    std::uint64_t items = 0;
};

void note(Item& item, Seen& seen) {
    ledger().count(Operation::item);
    ++seen.items;
    if (ledger().happens(item.mark) > 1) ledger().fail(Failure::twice, 1, "an item came out twice");
    if (item.text.find_first_not_of(static_cast<char>('a' + item.mark % 26)) != std::string::npos)
        ledger().fail(Failure::wrong, 1, "an item is garbled");
    const faults::Pause without_faults;
    std::uint32_t& last = seen.last[item.producer];
    if (item.number <= last) ledger().fail(Failure::wrong, 1, "items of one producer came out of their order");
    last = item.number;
}

template <class Q>
void take_until_empty(const Q& queue, Seen& seen, mp::RawValue<std::uint32_t> gone, bool (*is_over)(const mp::Event&),
                      const mp::Event& stop) {
    for (bool may_be_more = true; may_be_more;) {
        may_be_more = false;
        try {
            const faults::Scope faulty;
            while (auto item = queue.try_get_for(20ms)) {
                note(*item, seen);
                if constexpr (std::is_same_v<Q, mp::JoinableQueue<Item>>) queue.task_done();
            }
            may_be_more = !is_over(stop);
        } catch (const std::exception& error) {
            explain(error, "getting an item");  // which is gone then
            mp::test::atomic_in(*gone).fetch_add(1);
            may_be_more = true;
        }
    }
}

template <class Q>
void consume(Q queue, mp::Event stop, mp::RawValue<std::uint32_t> gone) {
    Seen seen;
    take_until_empty(
        queue, seen, gone, [](const mp::Event& event) { return event.is_set(); }, stop);
}

template <class Q>
class QueueRun {
public:
    QueueRun(Context& context, Q queue)
        : context_(context), random_(context.random.branch()), queue_(std::move(queue)) {}

    void run() {
        const StopAtEnd stop_at_end(stop_);
        const std::uint32_t producers = random_.between(1, 3), consumers = random_.between(1, 3);
        std::vector<mp::Process<void>> all;
        for (std::uint32_t i = 0; i < producers + consumers; ++i) all.push_back(start(i < producers));
        while (!context_.is_over()) {
            std::this_thread::sleep_for(2ms);
            for (std::size_t i = 0; i < all.size(); ++i) {
                if (all[i].is_alive()) continue;
                count_death(all[i]);
                all[i] = start(i < producers);
            }
        }
        stop_.set();
        for (auto& process : all) {
            if (process.pid() != 0) process.join();
            count_death(process);
        }
        Seen seen;
        take_until_empty(
            queue_, seen, gone_, [](const mp::Event&) { return true; }, stop_);
        account();
    }

private:
    mp::Process<void> start(bool is_producer) {
        const Producer producer{next_producer_++, group_, 1u << random_.between(3, 17), random_.next()};
        mp::Process<void> process = is_producer ? mp::Process<void>(produce<Q>, queue_, stop_, producer)
                                                : mp::Process<void>(consume<Q>, queue_, stop_, gone_);
        // Where nothing can be started there is nothing to be replaced: this round goes on with who is left.
        attempt("starting a process", [&] { process.start(); });
        return process;
    }
    void count_death(const mp::Process<void>& process) {
        if (process.pid() == 0) return;
        if (const auto status = process.exit_status(); status && status->success()) return;
        ++deaths_;
        if (!ledger().was_killed(process.pid()) && ledger().is_scarce.load() == 0)
            ledger().fail(Failure::wrong, 1, "a process at a queue %s", to_string(*process.exit_status()).c_str());
    }
    void account() {
        const std::uint64_t lost = ledger().missing(group_);
        const std::uint64_t most = deaths_ + *gone_;
        ledger().note_loss(std::min<std::uint64_t>(lost, most));
        if (lost > most)
            ledger().fail(Failure::lost, lost - most, "%llu items were lost with %llu deaths",
                          static_cast<unsigned long long>(lost), static_cast<unsigned long long>(deaths_));
    }

    Context& context_;
    Random random_;
    Q queue_;
    mp::Event stop_;
    mp::RawValue<std::uint32_t> gone_{0};
    std::uint32_t group_ = ledger().new_group(), next_producer_ = 1;
    std::uint64_t deaths_ = 0;
};

}  // namespace

void run_queue_items(Context& context) {
    const std::uint32_t limit = context.random.one_in(2) ? 0 : context.random.between(1, 200);
    switch (context.random.below(3)) {
        case 0: QueueRun(context, mp::SimpleQueue<Item>()).run(); break;
        case 1: QueueRun(context, mp::JoinableQueue<Item>(limit)).run(); break;
        default: QueueRun(context, mp::Queue<Item>(limit)).run(); break;
    }
}

}  // namespace chaos
