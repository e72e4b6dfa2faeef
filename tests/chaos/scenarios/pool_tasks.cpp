// Tasks in a pool whose workers die: each has its result, or an error that somebody's death, a time limit or a
// cancellation explains; one task is lost with a worker, and none is begun again unless that was asked for.
#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "scenario.hpp"

namespace chaos {
namespace {

namespace mp = multiproc;
using namespace std::chrono_literals;

struct Job {
    std::uint32_t mark = 0;
    std::uint32_t microseconds = 0;
    std::uint32_t result_size = 0;
    bool throws = false;
    std::string argument;
};
struct Answer {
    std::uint32_t mark = 0;
    std::string text;
};

Answer run(const Job& job) {
    ledger().happens(job.mark);
    if (job.argument.find_first_not_of(static_cast<char>('a' + job.mark % 26)) != std::string::npos)
        ledger().fail(Failure::wrong, 1, "a task got another's argument");
    if (job.microseconds > 2000) {
        std::this_thread::sleep_for(std::chrono::microseconds(job.microseconds));
    } else {
        work_for(std::chrono::microseconds(job.microseconds));
    }
    if (job.throws) throw std::out_of_range("thrown by " + std::to_string(job.mark));
    return {job.mark, text_of(job.mark, job.result_size)};
}

class PoolRun {
public:
    explicit PoolRun(Context& context) : context_(context), random_(context.random.branch()), pool_(options()) {}

    void run() {
        std::vector<std::thread> threads;
        const std::uint32_t count = random_.between(1, 2);
        threads.reserve(count);
        for (std::uint32_t i = 0; i < count; ++i)
            attempt("starting a thread", [&] {
                threads.emplace_back([this, random = random_.branch()]() mutable {
                    while (!context_.is_over() && !is_broken_ && ledger().has_marks(10'000)) one(random);
                });
            });
        for (std::thread& thread : threads) thread.join();
        leave();
    }

private:
    mp::PoolOptions options() {
        mp::PoolOptions options;
        options.workers = random_.between(1, 6);
        if (random_.one_in(3)) options.max_tasks_per_worker = random_.between(1, 50);
        if (random_.one_in(4)) options.idle_timeout = std::chrono::milliseconds(random_.between(1, 100));
        return options;
    }

    Job job(Random& random, std::uint32_t most = 1) {
        Job job;
        job.mark = ledger().new_mark(most);
        job.microseconds = random.about(20'000);
        job.result_size = random.one_in(20) ? random.about(3 << 20) : random.about(2000);
        job.throws = random.one_in(20);
        job.argument = text_of(job.mark, random.one_in(20) ? random.about(3 << 20) : random.about(1000));
        return job;
    }

    void one(Random& random) {
        attempt("using a pool", [&] {
            switch (random.below(6)) {
                case 0: map(random); break;
                case 1: imap(random, false); break;
                case 2: imap(random, true); break;
                case 3: single(random); break;
                case 4: give_up(random); break;
                default: limited(random); break;
            }
            if (random.one_in(40)) pool_.resize(random.between(1, 6));
        });
    }

    std::vector<Job> jobs(Random& random, bool may_throw) {
        std::vector<Job> all;
        const std::uint32_t count = random.about(400);
        for (std::uint32_t i = 0; i < count; ++i) {
            Job next = job(random);
            next.microseconds /= 8;
            next.throws = next.throws && may_throw;
            all.push_back(std::move(next));
        }
        return all;
    }

    static void check(const Job& job, const Answer& answer) {
        ledger().count(Operation::task);
        if (job.throws || answer.mark != job.mark || answer.text != text_of(job.mark, job.result_size))
            ledger().fail(Failure::wrong, 1, "a task has another result than its own");
        if (ledger().times(job.mark) == 0) ledger().fail(Failure::wrong, 1, "a task has a result but never ran");
    }

    // What the result of a task may throw.
    void judge(const Job& job, const std::exception& error, bool has_limit = false, bool was_cancelled = false) {
        ledger().count(Operation::task);
        if (job.throws && dynamic_cast<const std::out_of_range*>(&error) != nullptr) {
            if (error.what() != "thrown by " + std::to_string(job.mark))
                ledger().fail(Failure::wrong, 1, "a task has another's error: %s", error.what());
            return;
        }
        if (has_limit && dynamic_cast<const mp::TimeoutError*>(&error) != nullptr) return;
        if (was_cancelled && dynamic_cast<const mp::CancelledError*>(&error) != nullptr) return;
        if (dynamic_cast<const mp::BrokenPool*>(&error) != nullptr) is_broken_ = true;
        if (const auto* death = dynamic_cast<const mp::WorkerDied*>(&error)) lose(death->pid());
        explain(error, "the result of a task");
    }
    void lose(std::uint32_t pid) {
        ledger().note_loss(1);
        const std::lock_guard lock(mutex_);
        if (!dead_.insert(pid).second)
            ledger().fail(Failure::lost, 1, "worker %u took more than one task with it", pid);
    }

    void map(Random& random) {
        const std::vector<Job> all = jobs(random, false);
        try {
            const std::vector<Answer> answers = pool_.map(chaos::run, all);
            if (answers.size() != all.size()) ledger().fail(Failure::lost, 1, "a map has too few results");
            for (std::size_t i = 0; i < all.size() && i < answers.size(); ++i) check(all[i], answers[i]);
        } catch (const mp::WorkerDied& error) {
            ledger().count(Operation::task, all.size());
            lose(error.pid());
            explain(error, "a map");
        } catch (const mp::BrokenPool& error) {
            is_broken_ = true;
            explain(error, "a map");
        }
    }

    void imap(Random& random, bool in_any_order) {
        const std::vector<Job> all = jobs(random, true);
        const std::size_t read = random.one_in(4) ? all.size() / 2 : all.size();
        auto results = in_any_order ? pool_.imap_unordered(chaos::run, all) : pool_.imap(chaos::run, all);
        std::set<std::uint32_t> seen;
        std::size_t count = 0, behind = 0;
        for (; count < read; ++count) {
            try {
                const auto answer = results.next();
                if (!answer) break;
                if (!seen.insert(answer->mark).second) ledger().fail(Failure::twice, 1, "a result came twice");
                ledger().count(Operation::task);
                if (answer->text.find_first_not_of(static_cast<char>('a' + answer->mark % 26)) != std::string::npos)
                    ledger().fail(Failure::wrong, 1, "a result is not what the task returned");
                // An error stands for an item; or for a `next` that had no memory, and the item comes the next time.
                const std::size_t earliest = ledger().is_scarce.load() == 0 ? count : behind;
                const auto here = std::find_if(all.begin() + static_cast<std::ptrdiff_t>(earliest),
                                               all.begin() + static_cast<std::ptrdiff_t>(count) + 1,
                                               [&](const Job& job) { return job.mark == answer->mark; });
                behind = static_cast<std::size_t>(here - all.begin()) + 1;
                if (!in_any_order && behind > count + 1)
                    ledger().fail(Failure::wrong, 1, "results are not in their order");
            } catch (const mp::BrokenPool&) {
                throw;  // it is at its end
            } catch (const std::out_of_range&) {
                ledger().count(Operation::task);
            } catch (const std::exception& error) { judge({}, error); }
            if (is_broken_) return;
        }
        if (count < read && ledger().is_scarce.load() == 0)
            ledger().fail(Failure::lost, 1, "%zu results of %zu", count, read);
    }

    void single(Random& random) {
        std::vector<Job> all;
        std::vector<mp::AsyncResult<Answer>> results;
        const std::uint32_t count = random.about(100), retries = random.below(3);
        const auto callbacks = std::make_shared<std::atomic<std::uint32_t>>(0);
        const bool has_callbacks = random.one_in(3);
        for (std::uint32_t i = 0; i < count; ++i) {
            all.push_back(job(random, 1 + retries));
            results.push_back(pool_.with({.retries = retries}).apply_async(chaos::run, all.back()));
            if (has_callbacks) results.back().then([callbacks] { ++*callbacks; });
        }
        for (std::uint32_t i = 0; i < count; ++i) take(all[i], results[i]);
        // A result may be read a moment before its callback runs.
        const auto give_up = Clock::now() + 20s;
        while (has_callbacks && callbacks->load() < count && Clock::now() < give_up) std::this_thread::sleep_for(1ms);
        if (has_callbacks && callbacks->load() != count)
            ledger().fail(callbacks->load() < count ? Failure::lost : Failure::twice, 1, "%u callbacks of %u ran",
                          callbacks->load(), count);
    }

    void take(const Job& job, const mp::AsyncResult<Answer>& result, bool has_limit = false,
              bool was_cancelled = false) {
        try {
            check(job, result.get());
        } catch (const std::exception& error) { judge(job, error, has_limit, was_cancelled); }
    }

    void give_up(Random& random) {
        std::vector<Job> all;
        std::vector<mp::AsyncResult<Answer>> results;
        const std::uint32_t count = random.between(1, 20);
        for (std::uint32_t i = 0; i < count; ++i) {
            all.push_back(job(random));
            results.push_back(pool_.apply_async(chaos::run, all.back()));
        }
        for (std::uint32_t i = 0; i < count; ++i) {
            const bool is_cancelled = random.one_in(2) && results[i].cancel();
            take(all[i], results[i], false, is_cancelled);
        }
    }

    void limited(Random& random) {
        const Job next = job(random);
        const auto limit = std::chrono::microseconds(random.between(100, 40'000));
        take(next, pool_.with({.timeout = limit}).apply_async(chaos::run, next), true);
    }

    void leave() {
        attempt("leaving a pool", [&] {
            switch (random_.below(3)) {
                case 0:
                    pool_.close();
                    pool_.join();
                    break;
                case 1: pool_.terminate(); break;
                default: break;  // its destructor does it
            }
        });
    }

    Context& context_;
    Random random_;
    mp::Pool pool_;
    std::atomic<bool> is_broken_{false};
    std::mutex mutex_;
    std::set<std::uint32_t> dead_;  // workers that a task was lost with
};

}  // namespace

void run_pool_tasks(Context& context) {
    while (!context.is_over() && ledger().has_marks(10'000)) attempt("a pool", [&] { PoolRun(context).run(); });
}

}  // namespace chaos
