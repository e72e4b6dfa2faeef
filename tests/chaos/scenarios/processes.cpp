// Many short processes: each has its result or is known to have been killed.
#include <string>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "scenario.hpp"

namespace chaos {
namespace {

namespace mp = multiproc;

std::string answer(std::uint32_t mark, std::uint32_t size, std::uint32_t microseconds) {
    ledger().happens(mark);
    work_for(std::chrono::microseconds(microseconds));
    return text_of(mark, size);
}

struct Started {
    mp::Process<std::string> process;
    std::uint32_t mark, size;
    bool is_ended = false;  // by this program
};

void check(const Started& started) {
    ledger().count(Operation::process);
    try {
        if (started.process.result() != text_of(started.mark, started.size))
            ledger().fail(Failure::wrong, 1, "a process has another result than its own");
        if (ledger().times(started.mark) != 1) ledger().fail(Failure::wrong, 1, "a process has a result but never ran");
    } catch (const mp::WorkerDied& error) {
        ledger().note_loss(1);
        if (!started.is_ended) explain(error, "the result of a process");
    } catch (const mp::BootstrapError& error) {
        if (!started.is_ended) explain(error, "the result of a process");
    }
    if (started.process.is_alive() || !started.process.exit_status())
        ledger().fail(Failure::wrong, 1, "a process that has a result has not ended");
}

void run_some(Random& random) {
    std::vector<Started> all;
    const std::uint32_t count = random.between(1, 6);
    all.reserve(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint32_t mark = ledger().new_mark(),
                            size = random.one_in(8) ? random.about(4 << 20) : random.about(500);
        Started next{mp::Process<std::string>(answer, mark, size, random.about(30'000)), mark, size};
        next.process.start();
        if (random.one_in(6)) {
            next.is_ended = true;
            if (random.one_in(2))
                next.process.kill();
            else
                next.process.terminate();
        }
        all.push_back(std::move(next));
    }
    for (Started& started : all) check(started);
}

}  // namespace

void run_processes(Context& context) {
    while (!context.is_over() && ledger().has_marks(100)) attempt("processes", [&] { run_some(context.random); });
}

}  // namespace chaos
