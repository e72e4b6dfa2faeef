// A manager and its clients, any of whom die: what a client held is free again, an item is lost with a dead client only,
// and a dead manager is an error for everybody at once.
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "scenario.hpp"

namespace chaos {
namespace {

namespace mp = multiproc;
using namespace std::chrono_literals;

struct Served {
    mp::LockProxy lock;
    mp::DictProxy<std::uint32_t, std::uint64_t> dict;
    mp::ListProxy<std::string> list;
    mp::QueueProxy<std::uint32_t> queue;
    mp::ValueProxy<std::uint64_t> inside;
    mp::SemaphoreProxy semaphore;
};

void put_one(const Served& served, std::uint32_t group) {
    const std::uint32_t mark = ledger().new_mark();
    if (mark == Ledger::no_mark) return;
    if (!served.queue.try_put_for(mark, 20ms)) return;
    ledger().promise(mark, group);
}

bool get_one(const Served& served) {
    const auto mark = served.queue.try_get();
    if (!mark) return false;
    ledger().count(Operation::item);
    if (ledger().happens(*mark) > 1) ledger().fail(Failure::twice, 1, "an item of a manager came out twice");
    return true;
}

void hold_lock(const Served& served, std::uint64_t me) {
    const std::scoped_lock guard(served.lock);
    served.inside.set(me);
    if (served.inside.get() != me) ledger().fail(Failure::wrong, 1, "two owners of a manager's lock at once");
}

void use_one(const Served& served, std::uint32_t group, Random& random) {
    switch (random.below(7)) {
        case 0: put_one(served, group); break;
        case 1: get_one(served); break;
        case 2: hold_lock(served, random.next()); break;
        case 3: {
            const std::uint32_t key = random.below(100);
            served.dict.set(key, std::uint64_t{key} * 1'000'003);
            break;
        }
        case 4:
            for (const auto& [key, value] : served.dict.items())
                if (value != std::uint64_t{key} * 1'000'003)
                    ledger().fail(Failure::wrong, 1, "a dict has a wrong value");
            break;
        case 5:
            served.list.append(text_of(random.below(26), random.about(20'000)));
            if (served.list.size() > 200) served.list.clear();
            break;
        default:
            if (served.semaphore.try_acquire_for(5ms)) served.semaphore.release();
            break;
    }
    ledger().count(Operation::call);
}

void use(mp::LockProxy lock, mp::DictProxy<std::uint32_t, std::uint64_t> dict, mp::ListProxy<std::string> list,
         mp::QueueProxy<std::uint32_t> queue, mp::ValueProxy<std::uint64_t> inside, mp::SemaphoreProxy semaphore,
         mp::Event stop, std::uint32_t manager, std::uint32_t group, std::uint64_t seed) {
    const Served served{lock, dict, list, queue, inside, semaphore};
    Random random(seed);
    // With a dead manager there is nothing left to do.
    while (!stop.is_set() && !ledger().was_killed(manager))
        attempt("using a manager", [&] { use_one(served, group, random); });
}

class ManagerRun {
public:
    explicit ManagerRun(Context& context) : context_(context), random_(context.random.branch()) {
        ledger().note_manager(manager_.pid());
    }

    void run() {
        const StopAtEnd stop_at_end(stop_);
        const std::uint32_t count = random_.between(1, 4);
        std::vector<mp::Process<void>> clients;
        for (std::uint32_t i = 0; i < count; ++i) clients.push_back(start());
        while (!context_.is_over() && !ledger().was_killed(manager_.pid())) {
            attempt("using a manager", [&] { use_one(served_, group_, random_); });
            for (auto& client : clients) {
                if (client.is_alive()) continue;
                count_death(client);
                client = start();
            }
        }
        stop_.set();
        for (auto& client : clients) {
            if (client.pid() != 0) client.join();
            count_death(client);
        }
        account();
    }

private:
    mp::Process<void> start() {
        mp::Process<void> client(use, served_.lock, served_.dict, served_.list, served_.queue, served_.inside,
                                 served_.semaphore, stop_, manager_.pid(), group_, random_.next());
        attempt("starting a client", [&] { client.start(); });
        return client;
    }
    void count_death(const mp::Process<void>& client) {
        if (client.pid() != 0 && client.exit_status() && !client.exit_status()->success()) ++deaths_;
    }
    void account() {
        attempt("emptying a manager's queue", [&] {
            // What dead clients held must be free.
            if (!served_.lock.try_lock_for(30s))
                ledger().fail(Failure::wrong, 1, "a dead client keeps its lock");
            else
                served_.lock.unlock();
            while (get_one(served_)) {}
        });
        if (ledger().was_killed(manager_.pid()) || ledger().is_scarce.load() != 0) return;
        const std::uint64_t lost = ledger().missing(group_);
        ledger().note_loss(lost);
        if (lost > deaths_)
            ledger().fail(Failure::lost, lost - deaths_, "%llu items of a manager were lost with %llu deaths",
                          static_cast<unsigned long long>(lost), static_cast<unsigned long long>(deaths_));
    }

    Context& context_;
    Random random_;
    mp::Manager manager_;
    Served served_{manager_.lock(),
                   manager_.dict<std::uint32_t, std::uint64_t>(),
                   manager_.list<std::string>(),
                   manager_.queue<std::uint32_t>(100),
                   manager_.value(std::uint64_t{0}),
                   manager_.semaphore(2)};
    mp::Event stop_;
    std::uint32_t group_ = ledger().new_group();
    std::uint64_t deaths_ = 0;
};

}  // namespace

void run_managers(Context& context) {
    while (!context.is_over())
        attempt("a manager", [&] {
            std::optional<ManagerRun> run;
            try {
                run.emplace(context);
            } catch (const mp::ClosedError&) {  // it died so early that nobody knew whose server it is
                if (ledger().kills() == 0) throw;
                return;
            }
            run->run();
        });
}

}  // namespace chaos
