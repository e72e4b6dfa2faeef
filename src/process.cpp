#include <multiproc/process.hpp>

#include <algorithm>
#include <stdexcept>

#include "deadline.hpp"
#include "interrupt.hpp"
#include "process_state.hpp"

namespace multiproc {
namespace {

using detail::ProcessRegistry;
using detail::ProcessState;

}  // namespace

ProcessHandle::ProcessHandle(ProcessOptions options) : state_(std::make_shared<ProcessState>(std::move(options))) {}

ProcessState& ProcessHandle::state() const {
    if (!state_) throw ClosedError("multiproc: this Process was moved from");
    return *state_;
}

void ProcessHandle::start() { state().start(); }
void ProcessHandle::join() const { state().await_end(os::never); }
bool ProcessHandle::join_for(Timeout timeout) const { return state().await_end(deadline_after(timeout)); }
bool ProcessHandle::is_alive() const { return state().is_alive(); }
std::optional<ExitStatus> ProcessHandle::exit_status() const { return state().exit_status(); }
void ProcessHandle::terminate() const { state().signal(os::Signal::terminate); }
void ProcessHandle::kill() const { state().signal(os::Signal::kill); }
void ProcessHandle::interrupt() const { state().signal(os::Signal::interrupt); }
void ProcessHandle::close() { state().close(); }
std::uint32_t ProcessHandle::pid() const { return state().pid(); }
std::string ProcessHandle::name() const { return state().name(); }
bool ProcessHandle::daemon() const {
    state().require_usable();
    return state().daemon();
}
Sentinel ProcessHandle::sentinel() const {
    state().require_started();
    return Sentinel(state_);
}
void ProcessHandle::set_target(detail::TaskTarget target) { state().set_target(target); }
OutputBuffer& ProcessHandle::message() { return state().message(); }
void ProcessHandle::callable_written() noexcept { state().callable_written(); }
void ProcessHandle::read_result(void (*read)(InputBuffer&, void*), void* context) const {
    state().read_result(read, context);
}

bool Sentinel::ready() const noexcept { return state_->has_ended(); }

std::vector<Sentinel> wait(std::span<const Sentinel> sentinels, std::optional<Timeout> timeout) {
    if (sentinels.empty() && !timeout)
        throw std::invalid_argument("multiproc: wait() without sentinels and without a timeout would never return");
    std::vector<Sentinel> ready;
    const auto collect = [&] {
        std::ranges::copy_if(sentinels, std::back_inserter(ready), &Sentinel::ready);
        return !ready.empty();
    };
    ProcessRegistry& registry = ProcessRegistry::get();
    std::unique_lock lock(registry.mutex);
    wait_interruptibly(registry.ended, lock, deadline_or_never(timeout), collect);
    return ready;
}

std::vector<ProcessHandle> active_children() {
    ProcessRegistry& registry = ProcessRegistry::get();
    const std::lock_guard lock(registry.mutex);
    std::vector<ProcessHandle> handles;
    for (const auto& process : registry.running) handles.push_back(ProcessHandle(process));
    return handles;
}

}  // namespace multiproc
