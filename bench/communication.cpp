// Queues and locks.
#include <boost/interprocess/ipc/message_queue.hpp>
#include <cstdint>
#include <memory>
#include <future>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "round_trip.hpp"
#include "rows.hpp"
#include "support.hpp"

namespace bench {
namespace {

namespace mp = multiproc;
namespace ipc = boost::interprocess;

constexpr std::size_t queue_limit = 1024;
constexpr int int_count = 1'000'000;
constexpr int string_count = 200'000;
constexpr int python_string_count = 20'000;
constexpr std::size_t string_size = 1024;
constexpr int uncontended_count = 5'000'000;
constexpr int contended_count = 1'000'000;

template <class T>
T item() {
    if constexpr (std::is_same_v<T, std::string>) {
        return std::string(string_size, 'x');
    } else {
        return 1;
    }
}

template <class T>
void put_many(mp::Queue<T> queue, mp::Event go, int count) {
    const T one = item<T>();
    go.wait();
    for (int i = 0; i < count; ++i) queue.put(one);
}
template <class T>
void get_many(mp::Queue<T> queue, int count) {
    for (int i = 0; i < count; ++i) (void)queue.get();
}

/// So many producers and consumers; this process is one of the consumers, and waits for the others.
template <class T>
double time_of_queue(int each, int count) {
    const mp::Queue<T> queue(queue_limit);
    const mp::Event go;
    std::vector<mp::Process<void>> processes;
    for (int i = 0; i < each; ++i) {
        processes.emplace_back(put_many<T>, queue, go, count / each);
        processes.back().start();
        if (i == 0) continue;
        processes.emplace_back(get_many<T>, queue, count / each);
        processes.back().start();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // so that all have begun
    const Stopwatch watch;
    go.set();
    get_many(queue, count / each);
    for (auto& process : processes) process.join();
    return watch.seconds() / count;
}

/// Boost's queue copies bytes, so there is nothing to encode.
class BoostQueue {
public:
    explicit BoostQueue(std::size_t size) : name_("multiproc_bench_" + std::to_string(::getpid())), size_(size) {
        ipc::message_queue::remove(name_.c_str());
        queue_ = std::make_unique<ipc::message_queue>(ipc::create_only, name_.c_str(), queue_limit, size);
    }
    ~BoostQueue() { ipc::message_queue::remove(name_.c_str()); }
    BoostQueue(const BoostQueue&) = delete;
    BoostQueue& operator=(const BoostQueue&) = delete;

    void put_many(int count) {
        const std::string bytes(size_, 'x');
        for (int i = 0; i < count; ++i) queue_->send(bytes.data(), size_, 0);
    }
    void get_many(int count) {
        std::string bytes(size_, 0);
        for (int i = 0; i < count; ++i) {
            std::size_t received = 0;
            unsigned priority = 0;
            queue_->receive(bytes.data(), bytes.size(), received, priority);
        }
    }

private:
    std::string name_;
    std::size_t size_;
    std::unique_ptr<ipc::message_queue> queue_;
};

double time_of_boost_queue(std::size_t size, int each, int count) {
    BoostQueue queue(size);
    Shared<std::atomic<int>> go;
    std::vector<Child> children;
    children.reserve(static_cast<std::size_t>(2 * each));
    for (int i = 0; i < each; ++i) {
        children.emplace_back([&] {
            while (go->load() == 0) std::this_thread::yield();
            queue.put_many(count / each);
        });
        if (i != 0) children.emplace_back([&] { queue.get_many(count / each); });
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const Stopwatch watch;
    go->store(1);
    queue.get_many(count / each);
    for (Child& child : children) child.join();
    return watch.seconds() / count;
}

template <class T>
class QueueAgainstBoost : public Pair {
public:
    QueueAgainstBoost(int each, int count) : each_(each), count_(count) {}
    double ours() override { return time_of_queue<T>(each_, count_); }
    double peer() override {
        return time_of_boost_queue(std::is_same_v<T, std::string> ? string_size : sizeof(int), each_, count_);
    }

private:
    int each_, count_;
};

class QueueAgainstPython : public Pair {
public:
    explicit QueueAgainstPython(const Settings& settings)
        : command_{settings.python, (settings.peers / "queue_of_strings.py").string(),
                   std::to_string(python_string_count), std::to_string(string_size)} {}
    double ours() override { return time_of_queue<std::string>(1, string_count); }
    double peer() override { return run_peer(command_); }

private:
    std::vector<std::string> command_;
};

void echo(mp::Connection<int, int> connection) {
    try {
        for (;;) connection.send(connection.recv());
    } catch (const mp::EndOfFile&) {}  // so it goes
}

class ConnectionAwake : public Pair {
public:
    ConnectionAwake() : ConnectionAwake(mp::pipe<int>()) {}
    double ours() override {
        const auto trip = [this] {
            here_.send(1);
            (void)here_.recv();
        };
        for (int i = 0; i < 1000; ++i) trip();
        return median_of(awake_batches, [&] {
            const Stopwatch watch;
            for (std::size_t i = 0; i < awake_batch; ++i) trip();
            return watch.seconds() / awake_batch;
        });
    }
    double peer() override { return spinning_round_trip(); }

private:
    explicit ConnectionAwake(std::pair<mp::Connection<int, int>, mp::Connection<int, int>> ends)
        : here_(std::move(ends.first)), process_(echo, ends.second) {
        process_.start();
    }

    mp::Connection<int, int> here_;
    mp::Process<void> process_;
};

template <class L>
double time_of_locking(L& lock) {
    const Stopwatch watch;
    for (int i = 0; i < uncontended_count; ++i) {
        lock.lock();
        lock.unlock();
    }
    return watch.seconds() / uncontended_count;
}

// With another thread, which does nothing: in a process with one thread glibc's mutex does without atomic operations, but
// nobody needs a mutex there.
class Uncontended : public Pair {
public:
    Uncontended() : other_([end = end_.get_future()] { end.wait(); }) {}
    ~Uncontended() override {
        end_.set_value();
        other_.join();
    }
    double ours() override { return time_of_locking(lock_); }
    double peer() override { return time_of_locking(mutex_); }

private:
    mp::Lock lock_;
    std::mutex mutex_;
    std::promise<void> end_;
    std::thread other_;
};

template <class L>
void increment_many(const L& lock, volatile std::int64_t& total, int count) {
    for (int i = 0; i < count; ++i) {
        const std::scoped_lock guard(const_cast<L&>(lock));
        total = total + 1;
    }
}
void increment_in_process(mp::Lock lock, mp::RawValue<std::int64_t> total, mp::Event go) {
    go.wait();
    increment_many(lock, *total, contended_count / 2);
}

class Contended : public Pair {
public:
    double ours() override {
        const mp::Lock lock;
        const mp::RawValue<std::int64_t> total(0);
        const mp::Event go;
        mp::Process<void> other(increment_in_process, lock, total, go);
        other.start();
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        const Stopwatch watch;
        go.set();
        increment_many(lock, *total, contended_count / 2);
        other.join();
        const double seconds = watch.seconds();
        check(*total);
        return seconds / contended_count;
    }
    double peer() override {
        std::mutex mutex;
        std::int64_t total = 0;
        std::atomic<bool> go{false};
        std::thread other([&] {
            while (!go) std::this_thread::yield();
            increment_many(mutex, total, contended_count / 2);
        });
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        const Stopwatch watch;
        go = true;
        increment_many(mutex, total, contended_count / 2);
        other.join();
        const double seconds = watch.seconds();
        check(total);
        return seconds / contended_count;
    }

private:
    static void check(std::int64_t total) {
        if (total != contended_count) throw std::runtime_error("increments were lost");
    }
};

Row queue_row(const char* name, const char* what, const char* peer, double target, double operations,
              std::function<std::unique_ptr<Pair>()> open) {
    return {.name = name,
            .what = what,
            .peer = peer,
            .show = Row::Show::rate,
            .bound = Row::Bound::at_least,
            .target = target,
            .operations = operations,
            .open = std::move(open)};
}

}  // namespace

void add_communication_rows(std::vector<Row>& rows, const Settings& settings) {
    const char* const boost = "Boost.Interprocess message_queue";
    rows.push_back(queue_row("queue/int_1_1", "Queue<int>, one producer and one consumer", boost, 3, int_count,
                             [] { return std::make_unique<QueueAgainstBoost<int>>(1, int_count); }));
    rows.push_back(queue_row("queue/int_4_4", "Queue<int>, four and four", boost, 2, int_count,
                             [] { return std::make_unique<QueueAgainstBoost<int>>(4, int_count); }));
    rows.push_back(queue_row("queue/string", "Queue<std::string> of 1 KiB, one and one", boost, 2, string_count,
                             [] { return std::make_unique<QueueAgainstBoost<std::string>>(1, string_count); }));
    rows.push_back(queue_row("queue/python", "Queue<std::string> of 1 KiB, one and one",
                             "Python's multiprocessing.Queue", 50, string_count,
                             [settings] { return std::make_unique<QueueAgainstPython>(settings); }));
    rows.push_back({.name = "connection/awake",
                    .what = "Connection, one message there and back, both awake",
                    .peer = "two cache lines between two spinning processes",
                    .target = 2.5,
                    .operations = 1000 + awake_batches * awake_batch,
                    .open = [] { return std::make_unique<ConnectionAwake>(); }});
    rows.push_back({.name = "lock/uncontended",
                    .what = "Lock, locked and unlocked by one thread",
                    .peer = "std::mutex",
                    .target = 3,
                    .operations = uncontended_count,
                    .open = [] { return std::make_unique<Uncontended>(); }});
    rows.push_back({.name = "lock/contended",
                    .what = "Lock, a million increments by two processes",
                    .peer = "std::mutex, by two threads",
                    .target = 2,
                    .operations = contended_count,
                    .open = [] { return std::make_unique<Contended>(); }});
}

}  // namespace bench
