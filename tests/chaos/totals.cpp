#include "totals.hpp"

#include <algorithm>
#include <cstdio>

namespace chaos {
namespace {

template <class Kind, std::size_t N>
void print_row(const char* title, const std::array<std::uint64_t, N>& counts) {
    std::printf("%-12s", title);
    for (std::size_t i = 0; i < N; ++i)
        std::printf("%s %llu %s", i == 0 ? "" : ",", static_cast<unsigned long long>(counts[i]),
                    name_of(static_cast<Kind>(i)));
    std::printf("\n");
}

}  // namespace

void Totals::add(const Killer& killer) {
    for (std::size_t i = 0; i < victim_kinds; ++i) kills[i] += killer.kills()[i];
    stops += killer.stops();
}

void Totals::add(const Ledger& round) {
    ++rounds;
    for (std::size_t i = 0; i < operation_kinds; ++i) operations[i] += round.counted(static_cast<Operation>(i));
    for (std::size_t i = 0; i < failure_kinds; ++i) failures[i] += round.failed(static_cast<Failure>(i));
    failed_allocations += round.failed_allocations.load();
    failed_calls += round.failed_calls.load();
    errors += round.errors();
    promised_losses += round.promised_losses();
}

bool Totals::is_clean() const noexcept {
    return std::all_of(failures.begin(), failures.end(), [](std::uint64_t count) { return count == 0; });
}

void Totals::print() const {
    const auto number = [](std::uint64_t count) { return static_cast<unsigned long long>(count); };
    std::printf("rounds       %llu\n", number(rounds));
    print_row<Operation>("operations", operations);
    print_row<Victim>("killed", kills);
    std::printf("stopped      %llu\n", number(stops));
    std::printf("made to fail %llu allocations, %llu system calls\n", number(failed_allocations), number(failed_calls));
    std::printf("as promised  %llu errors, %llu items gone with the dead\n", number(errors), number(promised_losses));
    print_row<Failure>("failures", failures);
}

}  // namespace chaos
