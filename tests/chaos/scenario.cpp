#include "scenario.hpp"

#include <new>
#include <system_error>
#include <typeinfo>

#include <multiproc/multiproc.hpp>

namespace chaos {
namespace {

namespace mp = multiproc;

template <class... Errors>
bool is_one_of(const std::exception& error) noexcept {
    return ((dynamic_cast<const Errors*>(&error) != nullptr) || ...);
}

bool is_explained(const std::exception& error) noexcept {
    const bool is_scarce = ledger().is_scarce.load() != 0;
    if (const auto* death = dynamic_cast<const mp::WorkerDied*>(&error))
        return is_scarce || ledger().was_killed(death->pid());
    if (is_one_of<mp::ClosedError>(error)) return is_scarce || ledger().was_manager_killed();
    // A child may die before it is one, or with the server that is to fork it; and three such make a broken pool.
    if (is_one_of<mp::StartError, mp::BootstrapError, mp::BrokenPool>(error)) return is_scarce || ledger().kills() != 0;
    if (is_one_of<mp::EndOfFile>(error)) return is_scarce || ledger().kills() != 0;
    // Without memory an error may arrive as the text that it is.
    const bool is_remote = dynamic_cast<const mp::RemoteError*>(&error) != nullptr;
    return is_scarce && (is_remote || is_one_of<std::bad_alloc, std::system_error, mp::CodecError>(error));
}

}  // namespace

bool explain(const std::exception& error, const char* where) noexcept {
    if (is_explained(error)) {
        ledger().note_error();
        return true;
    }
    ledger().fail(Failure::wrong, 1, "%s: unexpected %s: %s", where, typeid(error).name(), error.what());
    return false;
}

std::span<const ScenarioKind> all_scenarios() {
    static constexpr ScenarioKind kinds[] = {
        {"pool", run_pool_tasks},      {"processes", run_processes}, {"queue", run_queue_items},
        {"arrays", run_shared_arrays}, {"locks", run_locks},         {"waits", run_waits},
        {"pipes", run_pipes},          {"managers", run_managers},   {"nested", run_nested},
    };
    return kinds;
}

std::string text_of(std::uint32_t number, std::size_t size) {
    return std::string(size, static_cast<char>('a' + number % 26));
}

void work_for(std::chrono::microseconds time) noexcept {
    const auto end = Clock::now() + time;
    while (Clock::now() < end) {}
}

}  // namespace chaos
