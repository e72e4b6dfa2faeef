#include "sandbox.hpp"

#include <array>
#include <atomic>

#include <multiproc/errors.hpp>

#include "os.hpp"
#include "runtime.hpp"

namespace multiproc {
namespace {

// Plain data, set before there is a second thread of the program's.
struct Confinement {
    std::array<std::size_t, 3> slots{};
    bool is_expected = false;
    std::atomic<bool> is_closed{false};
};
Confinement confinement;

}  // namespace

std::string sandbox_problem() { return os::sandbox_problem(); }
bool sandbox_available() { return sandbox_problem().empty(); }

void require_sandbox(StartMethod method) {
    if (const std::string problem = sandbox_problem(); !problem.empty())
        throw StartError("multiproc: there is no sandbox for workers here: " + problem);
    if (method == StartMethod::fork) {
        throw StartError(
            "multiproc: a sandboxed pool cannot use the start method fork: its workers would be copies of this "
            "process, "
            "with all that it knows and has open; give it .start_method = StartMethod::forkserver or "
            "StartMethod::spawn");
    }
}

void expect_sandbox(std::uint32_t child_slot, std::uint32_t waiter_slot, std::uint32_t service_slot) noexcept {
    confinement.slots = {child_slot, waiter_slot, service_slot};
    confinement.is_expected = true;
}

bool is_confined() noexcept { return confinement.is_expected; }

void close_sandbox() {
    if (!confinement.is_expected) return;
    os::remember_modules();
    Runtime::get().lot().keep_only(confinement.slots);
    os::enter_sandbox();
    confinement.is_closed.store(true, std::memory_order_release);
}

void require_closed_sandbox() {
    if (!confinement.is_expected || confinement.is_closed.load(std::memory_order_acquire)) return;
    throw StartError("multiproc: this worker could not enter its sandbox, so it runs no task");
}

}  // namespace multiproc
