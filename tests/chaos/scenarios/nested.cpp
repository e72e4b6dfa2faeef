// Processes that start processes and pools of their own, and are killed with all of it under them.
#include <numeric>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "scenario.hpp"

namespace chaos {
namespace {

namespace mp = multiproc;

std::uint64_t square(std::uint64_t number) {
    work_for(std::chrono::microseconds(number % 64));
    return number * number;
}

std::uint64_t sum_of_squares(std::uint32_t count) {
    std::vector<std::uint64_t> numbers(count);
    std::iota(numbers.begin(), numbers.end(), 0);
    mp::Pool pool(2);
    const std::vector<std::uint64_t> squares = pool.map(square, numbers);
    return std::accumulate(squares.begin(), squares.end(), std::uint64_t{0});
}

std::uint64_t by_a_child(std::uint32_t count) {
    mp::Process child(sum_of_squares, count);
    child.start();
    return child.result();
}

void run_one(Random& random) {
    const std::uint32_t count = 1 + random.about(2000);
    const std::uint64_t n = count - 1, expected = n * (n + 1) * (2 * n + 1) / 6;
    mp::Process<std::uint64_t> process = random.one_in(2) ? mp::Process<std::uint64_t>(sum_of_squares, count)
                                                          : mp::Process<std::uint64_t>(by_a_child, count);
    process.start();
    const std::uint64_t result = process.result();
    if (result != expected) ledger().fail(Failure::wrong, 1, "a process below a process has a wrong result");
    ledger().count(Operation::process);
}

}  // namespace

void run_nested(Context& context) {
    while (!context.is_over()) attempt("processes below processes", [&] { run_one(context.random); });
}

}  // namespace chaos
