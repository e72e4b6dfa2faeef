#include "process_state.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include <multiproc/errors.hpp>

#include "error_transport.hpp"
#include "result_record.hpp"
#include "runtime.hpp"

namespace multiproc::detail {
namespace {

// The one call of a process.
constexpr std::uint64_t call_id = 1;

}  // namespace

ProcessRegistry& ProcessRegistry::get() {
    static std::atomic<ProcessRegistry*> current{nullptr};  // never destroyed, and left behind in a forked copy
    const std::uint32_t pid = os::current_pid();
    ProcessRegistry* registry = current.load(std::memory_order_acquire);
    while (registry == nullptr || registry->pid != pid) {
        auto* fresh = new ProcessRegistry;
        fresh->pid = pid;
        if (current.compare_exchange_strong(registry, fresh, std::memory_order_acq_rel)) return *fresh;
        delete fresh;
    }
    return *registry;
}

void ProcessRegistry::finish() noexcept {
    std::unique_lock lock(mutex);
    for (const auto& process : running)
        if (process->daemon()) process->terminate_locked();
    ended.wait(lock, [this] { return running.empty(); });
}

ProcessState::ProcessState(ProcessOptions options) : options_(std::move(options)), owner_(os::current_pid()) {}

void ProcessState::require_usable() {
    if (owner_ != os::current_pid())
        throw ClosedError("multiproc: this Process belongs to the process that made it, and this is another one");
    const std::lock_guard lock(ProcessRegistry::get().mutex);
    if (closed_) throw ClosedError("multiproc: this Process is closed");
}

void ProcessState::require_started() {
    require_usable();
    const std::lock_guard lock(ProcessRegistry::get().mutex);
    if (!child_) throw std::logic_error("multiproc: this Process has not been started; call start() first");
}

void ProcessState::set_target(TaskTarget target) {
    target_ = target;
    message_.reset();
}

os::Handle ProcessState::open_redirect(const Redirect& redirect) const {
    switch (redirect.kind()) {
        case Redirect::Kind::inherit: return {};
        case Redirect::Kind::null: return os::open_output({}, false);
        case Redirect::Kind::file: return os::open_output(redirect.path(), false);
        case Redirect::Kind::append: return os::open_output(redirect.path(), true);
        case Redirect::Kind::handle: return os::duplicate(redirect.native());
    }
    return {};
}

const std::string& ProcessState::name_locked() {
    if (options_.name.empty()) {
        const ProcessInfo self = current_process();
        const std::string number = std::to_string(ProcessRegistry::get().next_number());
        // As in Python: the children of Process-2 are Process-2:1, Process-2:2, ...
        options_.name = parent_process() ? self.name + ":" + number : "Process-" + number;
    }
    return options_.name;
}

void ProcessState::start() {
    require_usable();
    ProcessRegistry& registry = ProcessRegistry::get();
    ChildOptions options;
    {
        const std::lock_guard lock(registry.mutex);
        if (starting_ || child_)
            throw std::logic_error("multiproc: this Process was started already; make a new one to run it again");
        starting_ = true;
        options.name = name_locked();
        if (!registry.at_exit_registered_) {
            registry.at_exit_registered_ = true;
            // Runs before the destructors of static objects made earlier, and only in the process that registered it.
            std::atexit([] { ProcessRegistry::get().finish(); });
        }
    }
    try {
        const os::Handle out = open_redirect(options_.out);
        const os::Handle err = open_redirect(options_.err);
        CallMessage call;
        const std::shared_ptr<const TaskRef> task = refer(target_);
        call.task = task.get();
        call.id = call_id;
        if (message_.is_spilled()) {
            call.lease = &message_.lease();
            call.lease_bytes = message_.size();
        } else {
            call.bytes = message_.bytes();
        }
        options.method = options_.start_method;
        options.daemon = options_.daemon;
        options.cwd = options_.cwd;
        options.env = options_.env;
        options.out = out.raw();
        options.err = err.raw();
        options.on_exit = [self = shared_from_this(), &registry] {
            const std::lock_guard lock(registry.mutex);
            self->ended_.store(true, std::memory_order_release);
            std::erase(registry.running, self);
            registry.ended.notify_all();
        };
        auto child = std::make_unique<Child>(std::move(options));
        child->send(call);  // its ring is empty, so there is room

        const std::lock_guard lock(registry.mutex);
        child_ = std::move(child);
        task_name_ = call.task->name;
        starting_ = false;
        if (!ended_.load(std::memory_order_relaxed)) registry.running.push_back(shared_from_this());
    } catch (...) {
        const std::lock_guard lock(registry.mutex);
        starting_ = false;
        throw;
    }
}

bool ProcessState::await_end(os::Deadline deadline) {
    require_started();
    ProcessRegistry& registry = ProcessRegistry::get();
    std::unique_lock lock(registry.mutex);
    const auto done = [this] { return ended_.load(std::memory_order_relaxed); };
    if (deadline != os::never) return registry.ended.wait_until(lock, deadline, done);
    registry.ended.wait(lock, done);
    return true;
}

void ProcessState::signal(os::Signal signal) {
    require_started();
    child_->signal(signal);
}

void ProcessState::close() {
    if (owner_ != os::current_pid()) require_usable();
    ProcessRegistry& registry = ProcessRegistry::get();
    const std::lock_guard lock(registry.mutex);
    if (closed_) return;
    if (child_ && !ended_.load(std::memory_order_relaxed)) {
        throw std::logic_error(
            "multiproc: a Process cannot be closed while it runs; join() it, or terminate() it first");
    }
    closed_ = true;
    message_.reset();
}

bool ProcessState::is_alive() {
    require_usable();
    const std::lock_guard lock(ProcessRegistry::get().mutex);
    return child_ && !ended_.load(std::memory_order_relaxed);
}

std::optional<ExitStatus> ProcessState::exit_status() {
    require_usable();
    const std::lock_guard lock(ProcessRegistry::get().mutex);
    if (!child_ || !ended_.load(std::memory_order_relaxed)) return std::nullopt;
    return child_->status();
}

std::uint32_t ProcessState::pid() {
    require_usable();
    const std::lock_guard lock(ProcessRegistry::get().mutex);
    return child_ ? child_->pid() : 0;
}

std::string ProcessState::name() {
    require_usable();
    const std::lock_guard lock(ProcessRegistry::get().mutex);
    return name_locked();
}

void ProcessState::read_result(void (*read)(InputBuffer&, void*), void* context) {
    await_end(os::never);
    {
        const std::lock_guard lock(result_mutex_);
        if (!collected_) collect_result();
        collected_ = true;
    }
    if (error_) std::rethrow_exception(error_);
    InputBuffer in(segment_ ? std::span<const std::byte>(segment_->data() + segment_payload, segment_bytes_)
                            : std::span<const std::byte>(bytes_));
    read(in, context);
}

// Takes the one result out of the channel. The child has ended, so nothing changes there any more.
void ProcessState::collect_result() {
    const std::optional<ResultRingParent::Record> record = child_->results().peek();
    if (!record) {
        if (child_->phase() == Phase::launched || child_->phase() == Phase::wrong_build) {
            error_ = std::make_exception_ptr(BootstrapError(
                "multiproc: the child process " + to_string(child_->status()) +
                " before it came to run anything; main() must call multiproc::freeze_support() as its first line, and the "
                "executable must not be replaced while the program runs (the child's standard error says more)"));
        } else {
            error_ = std::make_exception_ptr(WorkerDied(child_->status(), child_->pid(), task_name_));
        }
        return;
    }
    try {
        const ResultMessage message = read_result_record(*record, *child_);
        if (message.id != call_id || message.first != 0 || message.count != 1)
            throw CodecError("multiproc: the child sent something that is no result");
        if (message.is_error) {
            InputBuffer in(message.bytes());
            error_ = decode_exception(in);
        } else if (message.segment) {
            segment_ = message.segment;
            segment_bytes_ = message.size;
        } else {
            const std::span<const std::byte> bytes = message.bytes();
            bytes_.assign(bytes.begin(), bytes.end());
        }
    } catch (...) {
        error_ = std::current_exception();
    }
}

}  // namespace multiproc::detail
