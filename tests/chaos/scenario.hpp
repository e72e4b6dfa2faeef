// What the program under fire does: random use of one part of the library, with its own accounts.
#pragma once

#include <chrono>
#include <exception>
#include <span>
#include <string>
#include <utility>

#include <multiproc/event.hpp>

#include "faults.hpp"
#include "ledger.hpp"
#include "plan.hpp"
#include "random.hpp"

namespace chaos {

using Clock = std::chrono::steady_clock;

struct Context {
    const Plan& plan;
    Random random;
    Clock::time_point end;
    const char* scenario;

    bool is_over() const { return Clock::now() >= end; }
};

struct ScenarioKind {
    const char* name;
    void (*run)(Context&);
};
std::span<const ScenarioKind> all_scenarios();

void run_pool_tasks(Context& context);
void run_processes(Context& context);
void run_queue_items(Context& context);
void run_shared_arrays(Context& context);
void run_locks(Context& context);
void run_waits(Context& context);
void run_pipes(Context& context);
void run_managers(Context& context);
void run_nested(Context& context);

// Whether what was thrown is explained by what is done to this round; notes it as a failure if not. `where` says what was
// being done.
bool explain(const std::exception& error, const char* where) noexcept;
// Calls `f`, in which allocations and calls may fail. Returns whether it threw nothing.
template <class F>
bool attempt(const char* where, F&& f) noexcept {
    try {
        const faults::Scope faulty;
        std::forward<F>(f)();
        return true;
    } catch (const std::exception& error) { explain(error, where); } catch (...) {
        ledger().fail(Failure::wrong, 1, "%s: something was thrown that is no std::exception", where);
    }
    return false;
}

// Says at the end of its scope, whatever that is, that all are to stop.
class StopAtEnd {
public:
    explicit StopAtEnd(const multiproc::Event& stop) noexcept : stop_(stop) {}
    StopAtEnd(const StopAtEnd&) = delete;
    StopAtEnd& operator=(const StopAtEnd&) = delete;
    ~StopAtEnd() {
        const faults::Pause without_faults;
        attempt("stopping", [this] {
            const faults::Pause none_at_all;
            stop_.set();
        });
    }

private:
    const multiproc::Event& stop_;
};

// The program under fire: runs the plan of this seed. Returns its exit code.
int run_parent(std::uint64_t seed, const std::string& only);

// The same bytes for the same number.
std::string text_of(std::uint32_t number, std::size_t size);
// Keeps a processor busy for so long.
void work_for(std::chrono::microseconds time) noexcept;

}  // namespace chaos
