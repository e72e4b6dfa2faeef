#include "process_info.hpp"

#include <cstdlib>
#include <mutex>
#include <utility>

#include "error_text.hpp"
#include "os.hpp"

namespace multiproc {
namespace {

struct Identity {
    std::mutex mutex;
    ProcessInfo self{"MainProcess", 0, false};
    ProcessInfo parent;
    bool is_child = false;
    std::vector<std::function<void()>> at_exit;
};

Identity& identity() {
    static auto& instance = *new Identity;  // never destroyed: asked until the last instruction
    return instance;
}

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
    if (!id.is_child && id.at_exit.empty()) std::atexit(run_worker_exit_functions);
    id.at_exit.push_back(std::move(function));
}

void set_process_info(ProcessInfo self, ProcessInfo parent) {
    Identity& id = identity();
    const std::lock_guard lock(id.mutex);
    id.self = std::move(self);
    id.parent = std::move(parent);
    id.is_child = true;
    id.at_exit.clear();  // after a plain fork: they belong to the parent
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
