#include "child_main.hpp"

#include <exception>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <multiproc/errors.hpp>

#include "interrupt.hpp"
#include "patience.hpp"
#include "process_info.hpp"
#include "process_state.hpp"
#include "result_writer.hpp"
#include "runtime.hpp"
#include "sandbox.hpp"
#include "task_record.hpp"
#include "worker_limits.hpp"

namespace multiproc {
namespace {

// How long a worker without tasks looks for the next one before it sleeps: about what sleeping and waking cost
// together.
constexpr auto spin_time = std::chrono::microseconds(50);
// So often it looks without a pause at first.
constexpr int eager_looks = 1024;

Doorbell doorbell_of(const ChildEnd& end) {
    if (!end.doorbell) return {};
    const ControlBlock& control = end.channel.control();
    return {reinterpret_cast<DoorbellPage*>(end.doorbell.data()), &Runtime::get().lot(), control.waiter_slot,
            control.service_slot};
}

// The tasks of this worker's parent, by number.
class Tasks {
public:
    void define(TaskMeaning meaning) {
        const std::size_t number = meaning.number;
        if (tasks_.size() <= number) tasks_.resize(number + 1);
        tasks_[number] = std::make_unique<Task>(Task{std::move(meaning), std::nullopt});
    }
    // Throws BootstrapError if this process has no such task. Looked for at the first call only, so that the error is
    // that call's.
    const ResolvedTask& get(std::uint32_t number) {
        if (number >= tasks_.size() || !tasks_[number])
            throw BootstrapError("multiproc: this process was sent a call of a task that it was not told of");
        Task& task = *tasks_[number];
        if (!task.resolved) task.resolved = resolve(task.meaning.place, task.meaning.modules);
        return *task.resolved;
    }

private:
    struct Task {
        TaskMeaning meaning;
        std::optional<ResolvedTask> resolved;
    };
    std::vector<std::unique_ptr<Task>> tasks_;
};

class ChildLoop {
public:
    explicit ChildLoop(ChildEnd end)
        : end_(std::move(end)),
          ring_(end_.channel.task_worker()),
          results_(end_.channel, ring_, *end_.link, doorbell_of(end_), blocks_),
          spins_(end_.channel.control().spins != 0) {}

    // Runs one call, or returns false when told to stop.
    bool run_next() {
        for (;;) {
            const TaskRingWorker::Record record = await_record();
            if (record.head.kind == RecordKind::stop) return false;
            switch (record.head.kind) {
                case RecordKind::task: tasks_.define(read_task_record(record)); break;
                case RecordKind::attach:
                    for (const BlockId id : blocks_.attach(read_attach_record(record), *end_.link))
                        results_.answer(RecordKind::refuse, id);
                    break;
                case RecordKind::detach: {
                    const auto id = static_cast<BlockId>(read_number_record(record));
                    blocks_.detach(id);
                    results_.answer(RecordKind::detach, id);
                    break;
                }
                case RecordKind::discard: drop_handles(read_number_record(record)); break;
                default:
                    run_call(read_call_record(record), record.head.kind == RecordKind::call_in_segment);
                    return true;
            }
        }
    }

    const std::string& error_text() const noexcept { return results_.error_text(); }
    Channel& channel() noexcept { return end_.channel; }

private:
    void drop_handles(std::uint64_t last_token) noexcept {
        try {
            end_.link->receive(last_token);  // with all that were sent before
        } catch (const std::exception&) {}  // there were several, or none could be taken in: they are gone all the same
    }

    TaskRingWorker::Record await_record() {
        for (;;) {
            if (const auto record = ring_.begin()) return *record;
            if (!ring_.is_sound()) throw CodecError("multiproc: this process was sent something that is no task");
            if (spins_)
                if (const auto record = look_around()) return *record;
            results_.take_back_loans();
            end_.channel.sleep_child(Runtime::get().lot(),
                                     [this] { return !ring_.is_empty() || results_.has_ended_loan(); });
        }
    }

    std::optional<TaskRingWorker::Record> look_around() noexcept {
        // Who is about to send the next task does so before it is worth asking for the time, or sparing the processor: a
        // pause is as long as a task takes from one processor to the other.
        auto record = look(eager_looks, [] {});
        if (record || patience_.wants_to_look()) {
            if (!record) {
                const os::Deadline give_up = os::Clock::now() + spin_time;
                while (!record && os::Clock::now() < give_up) record = look(64, os::relax_cpu);
            }
            patience_.learn(record.has_value());
        }
        return record;
    }

    template <class Pause>
    std::optional<TaskRingWorker::Record> look(int times, Pause pause) noexcept {
        for (int i = 0; i < times; ++i) {
            if (const auto record = ring_.begin()) return record;
            pause();
        }
        return std::nullopt;
    }

    void run_call(const CallRequest& call, bool is_in_segment) {
        results_.begin_call(call.id, call.count, call.flags);
        try {
            if (!std::exchange(is_first_, false)) require_closed_sandbox();  // a sandbox is closed by the first call
            const ResolvedTask& task = tasks_.get(call.task);
            results_.set_task(task);
            results_.function = task.function;
            if (is_in_segment) {
                run_in_segment(*task.descriptor, call.segment);
            } else {
                results_.fields = InputBuffer(call.fields, blocks_.recent());
                results_.arguments = InputBuffer(call.items, blocks_.recent());
                task.descriptor->run(results_);
            }
        } catch (...) {
            results_.fail_all();  // nothing of it could be run
        }
        results_.end_call();
    }

    void run_in_segment(const detail::TaskDescriptor& task, const SegmentCall& where) {
        // Kept mapped while the task reads from it.
        const std::shared_ptr<os::Segment> segment = segments_.open(where.ref, *end_.link);
        const SegmentParts parts = parts_of(where, segment->data() + segment_payload);
        results_.fields = InputBuffer(parts.fields);
        results_.arguments = InputBuffer(parts.items);
        task.run(results_);
    }

    ChildEnd end_;
    TaskRingWorker ring_;
    ChildBlocks blocks_;
    ResultWriter results_;
    Tasks tasks_;
    // Read only: workers of a pool share these segments, and one that scribbles must not spoil the others' arguments.
    SegmentStore segments_{os::Segment::Access::read};
    bool spins_;
    bool is_first_ = true;
    Patience patience_;
};

[[noreturn]] void leave(Channel& channel, std::uint32_t code) {
    detail::ProcessRegistry::get().finish();  // its own children, as at the end of a program
    run_worker_exit_functions();
    os::flush_streams();
    channel.say_exit(ExitStatus::exited(code));
    os::exit_now(code);
}

[[noreturn]] void run_process(ChildLoop& loop, const std::string& name) {
    loop.run_next();
    const std::string& error = loop.error_text();
    // As Python does: the text goes to standard error, the exit status is 1, and `result()` throws it again.
    if (!error.empty()) os::print_error("Process " + name + ": " + error + "\n");
    leave(loop.channel(), error.empty() ? 0 : 1);
}

}  // namespace

void run_child_main(ChildEnd end, const StartInfo& info) {
    const ControlBlock& control = end.channel.control();
    set_process_info({info.name, os::current_pid(), info.daemon}, {info.parent_name, control.parent_pid, false});
    set_start_method(info.start_method);
    forget_interrupt_scopes();
    if (info.is_confined) expect_sandbox(control.child_slot, control.waiter_slot, control.service_slot);
    apply_worker_limits(info.threads, info.thread_variables, info.memory_limit, info.is_confined);
    ChildLoop loop(std::move(end));
    loop.channel().set_phase(Phase::running);
    if (control.role == Role::process) run_process(loop, info.name);
    // Ctrl+C reaches every process of the terminal. What becomes of a pool then is decided by the parent alone.
    os::ignore_interrupts();
    while (loop.run_next()) {}
    leave(loop.channel(), 0);
}

}  // namespace multiproc
