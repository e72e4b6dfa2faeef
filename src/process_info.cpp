#include "process_info.hpp"

#include <atomic>
#include <mutex>
#include <utility>

#include "error_text.hpp"
#include "exit_handlers.hpp"
#include "os.hpp"
#include "per_process.hpp"

namespace multiproc {
namespace {

struct Identity {
    std::mutex mutex;
    ProcessInfo self{"MainProcess", 0, false};
    ProcessInfo parent;
    bool is_child = false;
    std::vector<std::function<void()>> at_exit;
    Identity* original = nullptr;  // of the process that this one is a copy of: kept reachable for leak checkers
};

// Never destroyed: asked until the last instruction.
struct Current {
    std::atomic<Identity*> identity{new Identity};
    ~Current() { delete identity.load(); }
};

std::atomic<Identity*>& current_identity() { return of_this_program<Current>().identity; }

Identity& identity() { return *current_identity().load(std::memory_order_acquire); }

}  // namespace

ProcessInfo current_process() {
    Identity& id = identity();
    const std::lock_guard lock(id.mutex);
    ProcessInfo self = id.self;
    self.pid = os::current_pid();
    return self;
}

ProcessInfo parent_process() {
    Identity& id = identity();
    const std::lock_guard lock(id.mutex);
    return id.parent;
}

std::size_t cpu_count() { return os::cpu_count(); }

void at_worker_exit(std::function<void()> function) {
    Identity& id = identity();
    const std::lock_guard lock(id.mutex);
    if (!id.is_child && id.at_exit.empty()) at_program_exit<&run_worker_exit_functions>();
    id.at_exit.push_back(std::move(function));
}

void set_process_info(ProcessInfo self, ProcessInfo parent) {
    // After a plain fork the exit functions belong to the parent, and one of its threads may have held the mutex: the
    // old one is left as it is.
    auto* const fresh = new Identity;
    fresh->self = std::move(self);
    fresh->parent = std::move(parent);
    fresh->is_child = true;
    fresh->original = &identity();
    current_identity().store(fresh, std::memory_order_release);
}

void run_worker_exit_functions() noexcept {
    Identity& id = identity();
    for (;;) {
        std::function<void()> function;
        {
            const std::lock_guard lock(id.mutex);
            if (id.at_exit.empty()) return;
            function = std::move(id.at_exit.back());
            id.at_exit.pop_back();
        }
        try {
            function();
        } catch (...) {
            os::print_error("multiproc: a function of at_worker_exit threw " + current_exception_text() + "\n");
        }
    }
}

}  // namespace multiproc
