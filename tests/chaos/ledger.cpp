#include "ledger.hpp"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>

#include "port.hpp"
#include "support/environment.hpp"

namespace chaos {
namespace {

constexpr const char* variable = "MULTIPROC_CHAOS_LEDGER";
Ledger* mapped = nullptr;
std::string own_name;

}  // namespace

const char* name_of(Operation operation) noexcept {
    constexpr const char* names[] = {"tasks", "items of queues", "shared arrays",     "locks",
                                     "waits", "messages",        "calls of managers", "processes"};
    return names[static_cast<std::size_t>(operation)];
}

const char* name_of(Failure failure) noexcept {
    constexpr const char* names[] = {"lost", "done twice", "hung", "left behind", "wrong"};
    return names[static_cast<std::size_t>(failure)];
}

std::uint32_t Ledger::new_mark(std::uint32_t most) noexcept {
    const std::uint32_t mark = next_mark_.fetch_add(1);
    if (mark >= most_marks) return no_mark;
    marks_[mark].store(most << 8);
    return mark;
}

std::uint64_t Ledger::marks_too_often() const noexcept {
    std::uint64_t found = 0;
    for (std::uint32_t mark = 0; mark < most_marks && mark < next_mark_.load(); ++mark) {
        const std::uint32_t word = marks_[mark].load();
        if ((word & 0xff) > (word >> 8 & 0xff)) ++found;
    }
    return found;
}

std::uint64_t Ledger::missing(std::uint32_t group) const noexcept {
    std::uint64_t found = 0;
    for (std::uint32_t mark = 0; mark < most_marks && mark < next_mark_.load(); ++mark) {
        const std::uint32_t word = marks_[mark].load();
        if (word >> 16 == group && (word & 0xff) == 0) ++found;
    }
    return found;
}

void Ledger::fail(Failure failure, std::uint64_t times, const char* format, ...) noexcept {
    if (times == 0) return;
    failures_[static_cast<std::size_t>(failure)].fetch_add(times);
    const std::uint32_t index = texts_.fetch_add(1);
    if (index >= most_texts) return;
    std::va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text_[index], text_size, format, arguments);
    va_end(arguments);
}

std::string Ledger::texts() const {
    std::string all;
    for (std::uint32_t i = 0; i < texts_.load() && i < most_texts; ++i) all += "    " + std::string(text_[i]) + "\n";
    if (texts_.load() > most_texts) all += "    and " + std::to_string(texts_.load() - most_texts) + " more\n";
    return all;
}

void Ledger::note_kill(std::uint32_t pid) noexcept {
    const std::uint32_t index = kills_.fetch_add(1);
    if (index < most_kills) killed_[index].store(pid);
}

bool Ledger::was_killed(std::uint32_t pid) const noexcept {
    if (kills_.load() >= most_kills) return true;
    for (std::uint32_t i = 0; i < kills_.load() && i < most_kills; ++i)
        if (killed_[i].load() == pid) return true;
    return false;
}

void Ledger::note_manager(std::uint32_t pid) noexcept {
    const std::uint32_t index = managers_.fetch_add(1);
    if (index < most_managers) manager_pids_[index].store(pid);
}

bool Ledger::is_manager(std::uint32_t pid) const noexcept {
    for (std::uint32_t i = 0; i < managers_.load() && i < most_managers; ++i)
        if (manager_pids_[i].load() == pid) return true;
    return false;
}

bool Ledger::was_manager_killed() const noexcept {
    for (std::uint32_t i = 0; i < managers_.load() && i < most_managers; ++i)
        if (was_killed(manager_pids_[i].load())) return true;
    return false;
}

void Ledger::reset() noexcept {
    const auto clear = [](auto& all) {
        for (auto& one : all) one.store(0);
    };
    clear(operations_);
    clear(failures_);
    clear(killed_);
    clear(manager_pids_);
    for (std::uint32_t mark = 0; mark < most_marks && mark < next_mark_.load(); ++mark) marks_[mark].store(0);
    for (auto* word :
         {&kills_, &managers_, &texts_, &next_mark_, &groups_, &allocation_faults, &call_faults, &is_scarce, &stage})
        word->store(0);
    for (auto* word : {&errors_, &promised_losses_, &failed_allocations, &failed_calls}) word->store(0);
}

Ledger& ledger() noexcept { return *mapped; }

void create_ledger() {
    own_name = port::new_region_name();
    mapped = ::new (port::map_region(own_name, sizeof(Ledger), true)) Ledger;
    multiproc::test::set_variable(variable, own_name);
}

void open_ledger() {
    const char* const name = std::getenv(variable);
    if (name == nullptr) {
        std::fputs("multiproc_chaos: a process of the family does not know the ledger\n", stderr);
        std::abort();
    }
    mapped = static_cast<Ledger*>(port::map_region(name, sizeof(Ledger), false));
}

void remove_ledger() noexcept { port::remove_region(own_name); }

}  // namespace chaos
