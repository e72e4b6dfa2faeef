#include "process_state.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

#include <multiproc/errors.hpp>

#include "error_transport.hpp"
#include "exit_handlers.hpp"
#include "interrupt.hpp"
#include "per_process.hpp"
#include "result_record.hpp"
#include "runtime.hpp"

namespace multiproc::detail {
namespace {

// The one call of a process.
constexpr std::uint64_t call_id = 1;

[[noreturn]] void throw_started() {
    throw std::logic_error("multiproc: this Process was started already; make a new one to run it again");
}

void finish_processes() noexcept { ProcessRegistry::get().finish(); }

}  // namespace

ProcessRegistry& ProcessRegistry::get() { return of_this_process<ProcessRegistry>(); }

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
    if (!is_started_locked())
        throw std::logic_error("multiproc: this Process has not been started; call start() first");
}

void ProcessState::set_target(TaskTarget target) {
    require_usable();
    const std::lock_guard lock(ProcessRegistry::get().mutex);
    if (starting_ || is_started_locked()) throw_started();
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
        if (starting_ || is_started_locked()) throw_started();
        starting_ = true;
        options.name = name_locked();
        if (!registry.at_exit_registered_) {
            registry.at_exit_registered_ = true;
            at_program_exit<&finish_processes>();
        }
    }
    // What was printed before the start comes before what the child prints, as in Python.
    os::flush_streams();
    std::shared_ptr<Child> child;
    try {
        const os::Handle out = open_redirect(options_.out);
        const os::Handle err = open_redirect(options_.err);
        CallMessage call;
        call.task = &refer(target_);
        call.id = call_id;
        call.prefix = message_.bytes().first(fields_size_);
        call.items = message_.bytes().subspan(fields_size_);
        if (message_.is_spilled()) call.lease = &message_.lease();
        call.attachments = message_.attachments();
        options.method = options_.start_method;
        options.daemon = options_.daemon;
        options.cwd = options_.cwd;
        options.env = options_.env;
        options.out = out.raw();
        options.err = err.raw();
        options.on_exit = [self = shared_from_this(), &registry] {
            std::vector<Attachment> objects;  // let go of when the lock is left
            {
                const std::lock_guard lock(registry.mutex);
                if (!self->starting_) objects = self->message_.take_objects();
                self->ended_.store(true, std::memory_order_seq_cst);
                std::erase(registry.running, self);
            }
            registry.ended.notify_all();  // who wakes up now finds the mutex free
            registry.waiters.wake_all();
        };
        child = std::make_shared<Child>(std::move(options), &call);  // its ring is empty, so there is room

        std::vector<Attachment> objects;
        const std::lock_guard lock(registry.mutex);
        task_name_ = call.task->name;
        if (ended_.load(std::memory_order_relaxed)) {
            objects = message_.take_objects();
        } else {
            registry.running.push_back(shared_from_this());
        }
        child_ = std::move(child);
        starting_ = false;
    } catch (...) {
        if (child) child->signal(os::Signal::kill);  // nobody will know of it
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
    return wait_interruptibly(registry.ended, lock, deadline, done);
}

void ProcessState::signal(os::Signal signal) {
    require_started();
    std::shared_ptr<Child> child;
    {
        const std::lock_guard lock(ProcessRegistry::get().mutex);
        child = child_;
    }
    if (child) child->signal(signal);
}

std::shared_ptr<Child> ProcessState::release_child_locked() noexcept {
    if (child_) {
        pid_ = child_->pid();
        status_ = child_->status();
    }
    return std::exchange(child_, nullptr);
}

void ProcessState::close() {
    if (owner_ != os::current_pid()) require_usable();
    ProcessRegistry& registry = ProcessRegistry::get();
    // Destroyed after the lock is left.
    std::shared_ptr<Child> child;
    std::shared_ptr<const Result> result;
    const std::lock_guard lock(registry.mutex);
    if (closed_) return;
    if (starting_ || (child_ && !ended_.load(std::memory_order_relaxed))) {
        throw std::logic_error(
            "multiproc: a Process cannot be closed while it runs; join() it, or terminate() it first");
    }
    closed_ = true;
    child = release_child_locked();
    result = std::move(result_);
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
    if (!is_started_locked() || !ended_.load(std::memory_order_relaxed)) return std::nullopt;
    return child_ ? child_->status() : status_;
}

std::uint32_t ProcessState::pid() {
    require_usable();
    const std::lock_guard lock(ProcessRegistry::get().mutex);
    return child_ ? child_->pid() : pid_;
}

std::string ProcessState::name() {
    require_usable();
    const std::lock_guard lock(ProcessRegistry::get().mutex);
    return name_locked();
}

void ProcessState::read_result(void (*read)(InputBuffer&, void*), void* context) {
    await_end(os::never);
    const std::shared_ptr<const Result> result = collect_result();
    if (result->fail) result->fail();
    InputBuffer in(result->segment
                       ? std::span<const std::byte>(result->segment->data() + segment_payload, result->segment_bytes)
                       : std::span<const std::byte>(result->bytes),
                   result->blocks);
    read(in, context);
}

std::shared_ptr<const ProcessState::Result> ProcessState::collect_result() {
    const std::lock_guard collecting(collecting_);
    std::mutex& mutex = ProcessRegistry::get().mutex;
    std::shared_ptr<Child> child;
    {
        const std::lock_guard lock(mutex);
        if (closed_) throw ClosedError("multiproc: this Process is closed");
        if (result_) return result_;
        child = child_;
    }
    std::shared_ptr<const Result> result = result_of(*child);
    const std::lock_guard lock(mutex);
    if (!closed_) result_ = result;
    release_child_locked();
    message_.reset();
    return result;
}

// Takes the one result out of the channel. The child has ended, so nothing changes there any more.
std::shared_ptr<const ProcessState::Result> ProcessState::result_of(Child& child) const {
    auto result = std::make_shared<Result>();
    std::optional<ResultRingParent::Record> record;
    try {
        record = child.results().peek();
        for (; record && child.accept_block(*record); record = child.results().peek()) child.results().pop(*record);
    } catch (...) {
        result->fail = [error = std::current_exception()] { std::rethrow_exception(error); };
        return result;
    }
    if (!record) {
        // One that left on its own before it came to run the task could not become a child. A signal may come at any
        // time.
        if ((child.phase() == Phase::launched || child.phase() == Phase::wrong_build) &&
            child.status().kind() == ExitStatus::Kind::exited) {
            result->fail = [status = child.status()] {
                throw BootstrapError("multiproc: the child process " + to_string(status) +
                                     " before it came to run anything; main() must call multiproc::freeze_support() as "
                                     "its first line, and the executable must not be replaced while the program runs "
                                     "(the child's standard error says more)");
            };
        } else {
            result->fail = [status = child.status(), pid = child.pid(), task = task_name_] {
                throw WorkerDied(status, pid, task);
            };
        }
        return result;
    }
    try {
        ResultMessage message = read_result_record(*record);
        attach_memory(message, child, {});
        result->blocks = std::move(message.blocks);
        if (message.block) result->blocks.push_back(std::move(message.block));
        if (message.id != call_id || message.first != 0 || message.count != 1)
            throw CodecError("multiproc: the child sent something that is no result");
        if (message.is_error) {
            const std::span<const std::byte> bytes = message.bytes();
            result->fail = [error = std::vector<std::byte>(bytes.begin(), bytes.end())] {
                InputBuffer in(error);
                std::rethrow_exception(decode_exception(in));
            };
        } else if (message.segment) {
            result->segment = message.segment;
            result->segment_bytes = message.size;
        } else {
            const std::span<const std::byte> bytes = message.bytes();
            result->bytes.assign(bytes.begin(), bytes.end());
        }
    } catch (...) {
        result->fail = [error = std::current_exception()] { std::rethrow_exception(error); };
    }
    return result;
}

}  // namespace multiproc::detail
