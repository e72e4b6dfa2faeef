// Shared arrays that go through queues from hand to hand: whoever gets one finds what was written, and the memory of all
// is given back.
#include <algorithm>
#include <thread>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "scenario.hpp"

namespace chaos {
namespace {

namespace mp = multiproc;
using namespace std::chrono_literals;

struct Parcel {
    std::uint32_t mark = 0;
    mp::SharedArray<std::uint32_t> array;
};
using Parcels = mp::Queue<Parcel>;

void check(const Parcel& parcel) {
    ledger().count(Operation::array);
    if (ledger().happens(parcel.mark) > 1) ledger().fail(Failure::twice, 1, "an array came out twice");
    if (!std::all_of(parcel.array.begin(), parcel.array.end(), [&](std::uint32_t word) { return word == parcel.mark; }))
        ledger().fail(Failure::wrong, 1, "an array is garbled");
}

// Takes arrays out of one queue and puts others into the next.
void pass_on(Parcels from, Parcels to, mp::Event stop, std::uint64_t seed) {
    Random random(seed);
    while (!stop.is_set())
        attempt("passing arrays on", [&] {
            if (const auto parcel = from.try_get_for(10ms)) check(*parcel);
            const std::uint32_t mark = ledger().new_mark();
            if (mark == Ledger::no_mark) return;
            const std::size_t size = 1 + (random.one_in(30) ? random.about(8 << 20) : random.about(100'000));
            to.try_put_for({mark, mp::SharedArray<std::uint32_t>(size, mark)}, 10ms);
        });
}

std::uint64_t sum(const mp::SharedArray<std::uint32_t>& array) {
    std::uint64_t total = 0;
    for (const std::uint32_t word : array) total += word;
    return total;
}

// The same memory for the tasks of a pool.
void share_with_pool(Context& context) {
    mp::Pool pool(2);
    while (!context.is_over())
        attempt("arrays in a pool", [&] {
            const std::uint32_t word = context.random.below(1000);
            const mp::SharedArray<std::uint32_t> array(1 + context.random.about(200'000), word);
            std::vector<mp::AsyncResult<std::uint64_t>> sums;
            for (int i = 0; i < 4; ++i) sums.push_back(pool.apply_async(sum, array));
            for (const auto& one : sums) {
                try {
                    if (one.get() != std::uint64_t{word} * array.size())
                        ledger().fail(Failure::wrong, 1, "a task sees another array");
                } catch (const mp::WorkerDied& error) { explain(error, "arrays in a pool"); }
                ledger().count(Operation::array);
            }
        });
}

void pass_round(Context& context) {
    const Parcels there(8), back(8);
    const mp::Event stop;
    const StopAtEnd stop_at_end(stop);
    std::vector<mp::Process<void>> processes;
    const auto start = [&](bool is_forth) {
        const Parcels &from = is_forth ? there : back, &to = is_forth ? back : there;
        mp::Process<void> process(pass_on, from, to, stop, context.random.next());
        attempt("starting a process", [&] { process.start(); });
        return process;
    };
    for (int i = 0; i < 4; ++i) processes.push_back(start(i % 2 == 0));
    while (!context.is_over()) {
        std::this_thread::sleep_for(5ms);
        for (std::size_t i = 0; i < processes.size(); ++i)
            if (!processes[i].is_alive()) processes[i] = start(i % 2 == 0);
    }
    stop.set();
    for (const auto& process : processes)
        if (process.pid() != 0) process.join();
}

}  // namespace

void run_shared_arrays(Context& context) {
    if (context.random.one_in(3))
        share_with_pool(context);
    else
        pass_round(context);
}

}  // namespace chaos
