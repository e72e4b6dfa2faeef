#include "child_main.hpp"

#include <csignal>
#include <exception>
#include <utility>

#include <multiproc/errors.hpp>

#include "process_info.hpp"
#include "process_state.hpp"
#include "result_writer.hpp"
#include "runtime.hpp"
#include "task_ref.hpp"

namespace multiproc {
namespace {

// How long a worker without tasks looks for the next one before it sleeps: about what sleeping and waking cost
// together.
constexpr auto spin_time = std::chrono::microseconds(50);

Doorbell doorbell_of(const ChildEnd& end) {
    if (!end.doorbell) return {};
    const ControlBlock& control = end.channel.control();
    return {reinterpret_cast<DoorbellPage*>(end.doorbell.data()), &Runtime::get().lot(), control.waiter_slot,
            control.service_slot};
}

class ChildLoop {
public:
    explicit ChildLoop(ChildEnd end)
        : end_(std::move(end)),
          tasks_(end_.channel.task_worker()),
          results_(end_.channel, *end_.link, doorbell_of(end_)),
          spins_(os::cpu_count() > 1) {}

    // Runs one call, or returns false when told to stop.
    bool run_next() {
        const std::byte* place = await_record();
        RecordHead head;
        std::memcpy(&head, place, sizeof head);
        if (head.kind == RecordKind::stop) return false;
        CallRecord call;
        std::memcpy(&call, place, sizeof call);
        run_call(call, place + sizeof call);
        tasks_.release();
        return true;
    }

    const std::string& error_text() const noexcept { return results_.error_text(); }
    Channel& channel() noexcept { return end_.channel; }

private:
    const std::byte* await_record() {
        if (const std::byte* place = tasks_.claim()) return place;
        for (;;) {
            if (spins_) {
                const os::Deadline give_up = os::Clock::now() + spin_time;
                do {
                    for (int i = 0; i < 64; ++i) {
                        if (!tasks_.is_empty()) break;
                        os::relax_cpu();
                    }
                    if (const std::byte* place = tasks_.claim()) return place;
                } while (os::Clock::now() < give_up);
            }
            end_.channel.sleep_child(Runtime::get().lot(), [this] { return !tasks_.is_empty(); });
            if (const std::byte* place = tasks_.claim()) return place;
        }
    }

    void run_call(const CallRecord& call, const std::byte* place) {
        results_.count = call.count;
        results_.begin_call(call.id);
        try {
            const std::string modules(reinterpret_cast<const char*>(place), call.modules);
            const ResolvedTask& task = resolver_.resolve(call, modules);
            results_.set_task_name(task.name);
            std::shared_ptr<os::Segment> segment;  // kept mapped while the task reads from it
            const std::byte* fields = place + round_up_to_cell(call.modules);
            const std::byte* items = fields + call.prefix;
            if (call.head.kind == RecordKind::call_in_segment) {
                segment = segments_.open(call.segment, *end_.link);
                fields = segment->data() + segment_payload;
                items = fields + (call.segment.bytes - call.items);
            }
            results_.fields = InputBuffer({fields, static_cast<std::size_t>(call.prefix)});
            results_.arguments = InputBuffer({items, static_cast<std::size_t>(call.items)});
            results_.function = task.function;
            task.descriptor->run(results_);
        } catch (...) {
            results_.fail_all();  // nothing of it could be run
        }
        results_.end_call();
    }

    ChildEnd end_;
    TaskRingWorker tasks_;
    ResultWriter results_;
    // Read only: workers of a pool share these segments, and one that scribbles must not spoil the others' arguments.
    SegmentStore segments_{os::Segment::Access::read};
    TaskResolver resolver_;
    bool spins_;
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
    ChildLoop loop(std::move(end));
    loop.channel().set_phase(Phase::running);
    if (control.role == Role::process) run_process(loop, info.name);
    // Ctrl+C reaches every process of the terminal. What becomes of a pool then is decided by the parent alone.
    std::signal(SIGINT, SIG_IGN);
    while (loop.run_next()) {}
    leave(loop.channel(), 0);
}

}  // namespace multiproc
