#include "child.hpp"

#include <cstring>
#include <system_error>
#include <utility>

#include <multiproc/errors.hpp>

#include "process_info.hpp"
#include "reentry.hpp"
#include "runtime.hpp"

namespace multiproc {
namespace {

StartInfo start_info(const ChildOptions& options) {
    StartInfo info;
    info.name = options.name;
    info.parent_name = current_process().name;
    info.daemon = options.daemon;
    info.start_method = get_start_method();
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

Child::Child(ChildOptions options) : exit_(std::make_shared<Exit>()) {
    require_reentry();
    try {
        start(std::move(options));
    } catch (const std::system_error& error) {
        throw StartError(std::string("multiproc: the system did not start a process (") + error.what() +
                         "); a limit on processes, memory or open files may be reached, or the executable may be gone");
    }
}

void Child::start(ChildOptions options) {
    Runtime& runtime = Runtime::get();
    PendingEntry entry(runtime);

    exit_->channel = Channel::create(options.role, options.sizes, start_info(options));
    Channel& channel = exit_->channel;
    exit_->process = entry.process();
    channel.control().process_index = exit_->process.index;
    channel.control().process_generation = exit_->process.generation;
    channel.control().waiter_slot = options.waiter_slot;
    channel.control().service_slot = options.service_slot;
    channel.set_child_slot(runtime.claim_slot(exit_->process.index));
    tasks_ = channel.task_parent();
    results_ = channel.result_parent();
    exit_->on_exit = std::move(options.on_exit);

    auto [link, child_end] = os::HandleLink::create();
    link_ = std::move(link);

    os::Launch launch;
    launch.method = options.method == StartMethod::automatic ? get_start_method() : options.method;
    launch.executable = child_executable();
    // The order that run_child expects. A Process has no doorbell; its place is filled with the channel.
    launch.handles = {channel.handle(), child_end.raw()};
    const std::vector<os::RawHandle> shared = runtime.handles();
    launch.handles.push_back(shared.front());
    launch.handles.push_back(options.doorbell != os::no_handle ? options.doorbell : channel.handle());
    launch.handles.insert(launch.handles.end(), shared.begin() + 1, shared.end());
    launch.out = options.out;
    launch.err = options.err;
    launch.cwd = std::move(options.cwd);
    launch.env = std::move(options.env);
    launch.forked = [](os::Bootstrap bootstrap) { run_child(std::move(bootstrap)); };

    process_ = os::launch(launch, [exit = exit_](ExitStatus status) { ended(exit, status); });
    entry.keep();
    try {
        link_->connect(*process_);
    } catch (const std::system_error&) {
        // It has ended already, or could not be reached: then it is no use. Its end tells the rest.
        process_->signal(os::Signal::kill);
    }
}

Child::~Child() = default;

void Child::ended(const std::shared_ptr<Exit>& exit, ExitStatus status) noexcept {
    // Where the system did not tell (the program reaped the child itself, or the fork server was killed), the child's
    // own word counts. A death by signal that nobody saw stays unknown.
    if (status.kind() == ExitStatus::Kind::unknown) status = exit->channel.said_exit();
    exit->status = status;
    Runtime::get().remove_process(exit->process);
    const std::function<void()> on_exit = std::move(exit->on_exit);
    exit->done.store(true, std::memory_order_release);
    if (on_exit) on_exit();
}

std::optional<std::uint64_t> Child::send(const CallMessage& message) {
    const std::size_t modules = round_up_to_cell(message.task->modules.size());
    const std::size_t inline_bytes = message.lease != nullptr ? 0 : message.prefix.size() + message.items.size();
    const std::size_t size = sizeof(CallRecord) + modules + inline_bytes;
    std::byte* place = tasks_.reserve(size);
    if (place == nullptr) return std::nullopt;

    CallRecord call{};
    call.head.size = static_cast<std::uint32_t>(round_up_to_cell(size));
    call.head.kind = message.lease != nullptr ? RecordKind::call_in_segment : RecordKind::call;
    call.id = message.id;
    call.descriptor = message.task->descriptor;
    call.function = message.task->function;
    call.signature = message.task->signature;
    call.count = message.count;
    call.modules = static_cast<std::uint32_t>(message.task->modules.size());
    call.prefix = message.prefix.size();
    call.items = message.items.size();
    if (message.lease != nullptr) {
        const std::byte* const end = message.items.data() + message.items.size();
        call.segment =
            known_segments_.refer(*message.lease, static_cast<std::size_t>(end - message.lease->data()), *link_);
    }

    std::memcpy(place, &call, sizeof call);
    if (modules != 0) std::memcpy(place + sizeof call, message.task->modules.data(), message.task->modules.size());
    if (inline_bytes != 0) {
        std::byte* arguments = place + sizeof call + modules;
        if (!message.prefix.empty()) std::memcpy(arguments, message.prefix.data(), message.prefix.size());
        if (!message.items.empty())
            std::memcpy(arguments + message.prefix.size(), message.items.data(), message.items.size());
    }
    const std::uint64_t position = tasks_.push(size);
    wake();
    return position;
}

bool Child::send_stop() {
    std::byte* place = tasks_.reserve(sizeof(RecordHead));
    if (place == nullptr) return false;
    const RecordHead head{static_cast<std::uint32_t>(round_up_to_cell(sizeof(RecordHead))), RecordKind::stop};
    std::memcpy(place, &head, sizeof head);
    tasks_.push(sizeof head);
    wake();
    return true;
}

void Child::wake() noexcept { exit_->channel.wake_child(Runtime::get().lot()); }

}  // namespace multiproc
