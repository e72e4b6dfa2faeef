#include "child.hpp"

#include <algorithm>
#include <cstring>
#include <system_error>
#include <utility>

#include <multiproc/errors.hpp>

#include "die_here.hpp"
#include "environment_check.hpp"
#include "process_info.hpp"
#include "reentry.hpp"
#include "runtime.hpp"
#include "sandbox.hpp"
#include "shared_object.hpp"
#include "worker_limits.hpp"

namespace multiproc {
namespace {

StartInfo start_info(const ChildOptions& options) {
    StartInfo info;
    info.name = options.name;
    info.parent_name = current_process().name;
    info.daemon = options.daemon;
    info.start_method = get_start_method();
    info.threads = options.threads;
    info.thread_variables = given_thread_variables();
    info.memory_limit = options.memory_limit;
    info.is_confined = options.is_confined;
    if (!has_foreign_executable()) info.executable_build = os::main_module().build_id;
    return info;
}

// Gives the runtime's entry back unless the child came to life.
class PendingEntry {
public:
    explicit PendingEntry(Runtime& runtime) : runtime_(runtime), process_(runtime.add_process()) {}
    ~PendingEntry() {
        if (pending_) runtime_.remove_process(process_);
    }
    Runtime::ProcessRef process() const noexcept { return process_; }
    void keep() noexcept { pending_ = false; }

private:
    Runtime& runtime_;
    Runtime::ProcessRef process_;
    bool pending_ = true;
};

}  // namespace

Child::Child(ChildOptions options, const CallMessage* first)
    : exit_(std::make_shared<Exit>()), blocks_(options.block_signal) {
    require_reentry();
    try {
        start(std::move(options), first);
    } catch (const std::system_error& error) {
        const std::error_code& code = error.code();
        const bool is_limit = code == std::errc::resource_unavailable_try_again ||
                              code == std::errc::not_enough_memory || code == std::errc::too_many_files_open ||
                              code == std::errc::too_many_files_open_in_system;
        throw StartError(std::string("multiproc: a process could not be started: ") + error.what() +
                         (is_limit ? "; a limit on processes, memory or open files may be reached" : ""));
    }
}

void Child::start(ChildOptions options, const CallMessage* first) {
    Runtime& runtime = Runtime::get();
    runtime.require_company();
    PendingEntry entry(runtime);

    exit_->channel = Channel::create(options.role, options.sizes, start_info(options));
    Channel& channel = exit_->channel;
    exit_->process = entry.process();
    channel.control().process_index = exit_->process.index;
    channel.control().process_generation = exit_->process.generation;
    channel.control().waiter_slot = options.waiter_slot;
    channel.control().service_slot = options.service_slot;
    channel.set_child_slot(runtime.claim_slot(exit_->process.index));
    die_here(DeathPoint::start_prepared);
    tasks_ = channel.task_parent();
    results_ = channel.result_parent();
    exit_->on_exit = std::move(options.on_exit);

    is_confined_ = options.is_confined;
    auto [link, child_end] =
        os::HandleLink::create(is_confined_ ? os::HandleLink::Peer::confined : os::HandleLink::Peer::trusted);
    link_ = std::move(link);

    os::Launch launch;
    launch.method = options.method == StartMethod::automatic ? get_start_method() : options.method;
    if (is_confined_) require_sandbox(launch.method);
    launch.executable = child_executable();
    // The order that run_child expects. A Process has no doorbell, and a confined child nothing that it shares with others
    // but the parking lot; these places are filled with the channel.
    launch.handles = {channel.handle(), child_end.raw()};
    std::vector<os::RawHandle> shared = runtime.handles();
    if (is_confined_) std::fill_n(shared.begin(), Runtime::handles_of_its_own, channel.handle());
    launch.handles.push_back(shared.front());
    launch.handles.push_back(options.doorbell != os::no_handle ? options.doorbell : channel.handle());
    launch.handles.insert(launch.handles.end(), shared.begin() + 1, shared.end());
    launch.out = options.out;
    launch.err = options.err;
    launch.cwd = std::move(options.cwd);
    launch.env = std::move(options.env);
    if (launch.env) check_environment(*launch.env);
    launch.preload = std::move(options.preload);
    launch.forked = [](os::Bootstrap bootstrap) { run_child(std::move(bootstrap)); };

    // Handles can be sent only to a child that is there.
    const bool waits_for_child = first != nullptr && (first->lease != nullptr || !first->attachments.empty());
    if (first != nullptr && !waits_for_child) send(*first);
    die_here(DeathPoint::start_has_call);
    {
        std::unique_lock<std::mutex> lent;
        if (launch.method == StartMethod::fork) lent = ObjectRegistry::get().lend_all(exit_->process);
        process_ = os::launch(launch, [exit = exit_](ExitStatus status) { ended(exit, status); });
    }
    die_here(DeathPoint::start_launched);
    entry.keep();
    try {
        link_->connect(*process_);
        die_here(DeathPoint::start_connected);
        if (waits_for_child) send(*first);
    } catch (const std::exception&) {
        // It has ended already, or could not be reached, nor get what it is to run: then it is no use. Its end tells the
        // rest.
        process_->signal(os::Signal::kill);
    }
}

Child::~Child() {
    if (process_) bury(*exit_, &Exit::is_forgotten);
}

void Child::bury(Exit& exit, bool Exit::*what) noexcept {
    if (exit.owner != os::current_pid()) return;  // in a copy made by fork: the child is the original's
    const std::lock_guard lock(exit.burial);
    const bool lends = exit.channel.control().lends_objects.load(std::memory_order_relaxed) != 0;
    const bool was_over = exit.has_ended && (exit.is_forgotten || !lends);
    exit.*what = true;
    const bool is_over = exit.has_ended && (exit.is_forgotten || !lends);
    if (is_over && !was_over) Runtime::get().remove_process(exit.process);
}

void Child::ended(const std::shared_ptr<Exit>& exit, ExitStatus status) noexcept {
    // Where the system did not tell (the program reaped the child itself, or the fork server was killed), the child's
    // own word counts. A death by signal that nobody saw stays unknown.
    if (status.kind() == ExitStatus::Kind::unknown) status = exit->channel.said_exit();
    exit->status = status;
    die_here(DeathPoint::end_learned);
    bury(*exit, &Exit::has_ended);
    const std::function<void()> on_exit = std::move(exit->on_exit);
    exit->done.store(true, std::memory_order_release);
    if (on_exit) on_exit();
}

std::optional<std::uint64_t> Child::send(const CallMessage& message) {
    if (!send_task(*message.task)) return std::nullopt;
    try {
        if (blocks_.send(message.attachments, tasks_, *link_)) return send_call(message);
    } catch (const std::system_error&) {
        wake();  // to take in what it was sent of them
        throw;
    }
    wake();
    return std::nullopt;
}

std::optional<std::uint64_t> Child::send_call(const CallMessage& message) {
    const bool is_in_segment = message.lease != nullptr;
    const std::size_t behind = is_in_segment ? sizeof(SegmentCall) : message.prefix.size() + message.items.size();
    const std::size_t size = sizeof(CallRecord) + behind;
    std::byte* const place = tasks_.reserve(size);
    if (place == nullptr) return std::nullopt;

    auto* const call = reinterpret_cast<CallRecord*>(place);
    call->id = message.id;
    call->task = message.task->number;
    call->count = message.count;
    call->flags = message.flags;
    std::byte* const data = place + sizeof(CallRecord);
    if (is_in_segment) {
        // What is in the segment besides, now or later, is for others: a child that is not trusted gets one of its own.
        const SegmentLease own = is_confined_ ? SegmentSource::keep(message.prefix, message.items) : SegmentLease{};
        const SegmentLease& lease = is_confined_ ? own : *message.lease;
        const auto bytes =
            is_confined_
                ? message.prefix.size() + message.items.size()
                : static_cast<std::size_t>(message.items.data() + message.items.size() - message.lease->data());
        const SegmentCall where{known_segments_.refer(lease, bytes, *link_), message.prefix.size(),
                                message.items.size()};
        std::memcpy(data, &where, sizeof where);
    } else {
        call->prefix = static_cast<std::uint32_t>(message.prefix.size());
        call->items = static_cast<std::uint32_t>(message.items.size());
        if (!message.prefix.empty()) std::memcpy(data, message.prefix.data(), message.prefix.size());
        if (!message.items.empty())
            std::memcpy(data + message.prefix.size(), message.items.data(), message.items.size());
    }
    const std::uint64_t position = tasks_.push(is_in_segment ? RecordKind::call_in_segment : RecordKind::call, size);
    die_here(DeathPoint::call_sent);
    wake();
    return position;
}

// Tells the worker what the task's number means, once. False if the ring has no room now.
bool Child::send_task(const TaskRef& task) {
    if (known_tasks_.size() <= task.number) known_tasks_.resize(task.number + std::size_t{1});
    if (known_tasks_[task.number]) return true;
    const std::size_t size = sizeof(TaskRecord) + task.modules.size();
    std::byte* const place = tasks_.reserve(size);
    if (place == nullptr) return false;
    auto* const record = reinterpret_cast<TaskRecord*>(place);
    record->descriptor = task.place.descriptor;
    record->function = task.place.function;
    record->signature = task.place.signature;
    record->number = task.number;
    record->modules = static_cast<std::uint32_t>(task.modules.size());
    if (!task.modules.empty()) std::memcpy(place + sizeof(TaskRecord), task.modules.data(), task.modules.size());
    definitions_.push_back({0, task.number});  // first, as it may throw
    definitions_.back().position = tasks_.push(RecordKind::task, size);
    die_here(DeathPoint::task_defined);
    known_tasks_[task.number] = true;
    return true;
}

bool Child::accept_block(const ResultRingParent::Record& record) {
    // It has none, and cannot make any that others know: so it names what it has no business with.
    if (is_confined_ && record.head.kind != RecordKind::result)
        throw CodecError("multiproc: a sandboxed worker sent shared memory");
    return blocks_.accept(record, tasks_, *link_);
}

bool Child::take_back(std::uint64_t position) noexcept {
    if (!tasks_.take_back(position)) return false;
    blocks_.take_back(position, tasks_);
    // The meanings of tasks that were written behind the call go with it.
    while (!definitions_.empty() && definitions_.back().position > position) {
        known_tasks_[definitions_.back().number] = false;
        definitions_.pop_back();
    }
    return true;
}

void Child::send_detached() {
    if (blocks_.send_detached(tasks_)) wake();
}

bool Child::send_stop() {
    if (tasks_.reserve(sizeof(RecordWord)) == nullptr) return false;
    tasks_.push(RecordKind::stop, sizeof(RecordWord));
    die_here(DeathPoint::stop_sent);
    wake();
    return true;
}

Child::Running Child::running() const noexcept {
    const ControlBlock& control = exit_->channel.control();
    const std::uint64_t id = control.running.load(std::memory_order_acquire);
    // A time that has been, whatever the child wrote: it is subtracted from others.
    const auto said = static_cast<std::int64_t>(control.running_since.load(std::memory_order_relaxed));
    const auto now = std::chrono::nanoseconds(os::Clock::now().time_since_epoch()).count();
    const std::chrono::nanoseconds since(std::clamp<std::int64_t>(said, 0, now));
    return {id, os::Clock::time_point(std::chrono::duration_cast<os::Clock::duration>(since))};
}

void Child::wake() noexcept { exit_->channel.wake_child(Runtime::get().lot()); }

}  // namespace multiproc
