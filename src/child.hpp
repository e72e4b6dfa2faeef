// The parent's end of one child: the process, its channel and what is known of its end.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <multiproc/exit_status.hpp>
#include <multiproc/start_method.hpp>

#include "block_transfer.hpp"
#include "channel.hpp"
#include "os.hpp"
#include "runtime.hpp"
#include "segment_cache.hpp"
#include "task_ref.hpp"

namespace multiproc {

struct ChildOptions {
    Role role = Role::process;
    ChannelSizes sizes{64 * 1024, 64 * 1024};
    StartMethod method = StartMethod::automatic;
    std::string name;
    bool daemon = false;
    std::optional<std::string> cwd;
    std::optional<std::vector<std::string>> env;
    os::RawHandle out = os::no_handle;
    os::RawHandle err = os::no_handle;
    os::RawHandle doorbell = os::no_handle;  // pool workers
    std::uint32_t waiter_slot = 0;
    std::uint32_t service_slot = 0;
    std::uint32_t threads = 0;  // see StartInfo
    std::uint64_t memory_limit = 0;
    bool is_confined = false;  // it is to work in a sandbox: it gets nothing that leads to others
    std::string preload;       // what the fork server is to run first; see preload.hpp
    // Raised when the child need not keep a block any more; without one it keeps them until its end.
    std::shared_ptr<BlockSignal> block_signal;
    // Called once, from a thread of the library, when the child has ended and its status is known.
    std::function<void()> on_exit;
};

// A message for a child: the arguments of one call, in memory of this process or in a segment.
struct CallMessage {
    const TaskRef* task = nullptr;
    std::uint64_t id = 0;
    std::uint32_t count = 1;
    std::uint32_t flags = 0;              // of CallRecord
    std::span<const std::byte> prefix;    // the callable's fields
    std::span<const std::byte> items;     // the arguments
    const SegmentLease* lease = nullptr;  // where both of them are, if that is a segment: the fields at its begin
    std::span<const detail::Attachment> attachments;  // what they refer to
};

class Child {
public:
    // `first`, if there is one, is in its ring when it starts. Throws BootstrapError, StartError, std::invalid_argument or
    // std::system_error; nothing is left behind then.
    explicit Child(ChildOptions options, const CallMessage* first = nullptr);
    ~Child();
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    std::uint32_t pid() const noexcept { return process_->pid(); }
    void signal(os::Signal signal) noexcept { process_->signal(signal); }
    os::RawHandle sentinel() const noexcept { return process_->sentinel(); }

    bool has_exited() const noexcept { return exit_->done.load(std::memory_order_acquire); }
    // How it ended; unknown before it did.
    ExitStatus status() const noexcept { return has_exited() ? exit_->status : ExitStatus::unknown(); }
    Phase phase() const noexcept { return exit_->channel.phase(); }

    // Writes the call into the ring and wakes the child if it sleeps; its position in the ring, or nothing if the ring
    // has no room now. Throws std::system_error if the arguments' segment cannot be handed over: the child has ended.
    std::optional<std::uint64_t> send(const CallMessage& message);
    // Takes back the call at `position` and what was sent behind it. False if the worker has begun it.
    bool take_back(std::uint64_t position) noexcept;
    // The watched call that it runs, or ran last, and since when.
    struct Running {
        std::uint64_t id;
        os::Clock::time_point since;
    };
    Running running() const noexcept;
    // False if the ring has no room now.
    bool send_stop();
    void wake() noexcept;
    // Whether waking it would take a system call. A hint.
    bool is_asleep() const noexcept { return exit_->channel.is_child_asleep(); }

    TaskRingParent& tasks() noexcept { return tasks_; }
    ResultRingParent& results() noexcept { return results_; }
    // Tells the child which blocks it need not keep any more.
    void send_detached();
    // Whether it was told so of some and has not answered.
    bool has_leaving_blocks() const noexcept { return blocks_.has_leaving(); }
    // Takes in a record of the result ring, if it is one about blocks. Throws CodecError or std::system_error for what
    // only a broken child sends.
    // Whether results referred to objects since the last call.
    bool take_borrowed() noexcept { return blocks_.take_borrowed(); }
    // Takes in a record about shared memory, if it is one. Throws for what only a broken child sends.
    bool accept_block(const ResultRingParent::Record& record);
    // See BlockLedger::take_arrived.
    std::vector<detail::Attachment> take_arrived_blocks() { return blocks_.take_arrived(); }
    // The segment that a result refers to.
    std::shared_ptr<os::Segment> open(const SegmentRef& ref) { return segments_.open(ref, *link_); }

private:
    // Shared with the call that reports the end, which may come after this object is gone.
    struct Exit {
        Channel channel;
        Runtime::ProcessRef process{};
        std::atomic<bool> done{false};
        ExitStatus status;
        std::function<void()> on_exit;

        // The process's entry in the runtime, and with it what the process held, is given back at its end; but if it
        // has sent objects, only when nobody will take its results any more.
        const std::uint32_t owner = os::current_pid();
        std::mutex burial;
        bool has_ended = false;
        bool is_forgotten = false;
    };
    static void bury(Exit& exit, bool Exit::*what) noexcept;
    void start(ChildOptions options, const CallMessage* first);
    std::optional<std::uint64_t> send_call(const CallMessage& message);
    bool send_task(const TaskRef& task);
    static void ended(const std::shared_ptr<Exit>& exit, ExitStatus status) noexcept;

    std::shared_ptr<Exit> exit_;
    std::unique_ptr<os::HandleLink> link_;
    std::unique_ptr<os::Child> process_;
    TaskRingParent tasks_;
    ResultRingParent results_;
    // What a task's number means is written into the ring once, before the first call of the task.
    struct Definition {
        std::uint64_t position;
        std::uint32_t number;
    };
    std::vector<bool> known_tasks_;        // by number
    std::vector<Definition> definitions_;  // of those
    BlockLedger blocks_;
    SegmentPeer known_segments_;
    SegmentStore segments_{os::Segment::Access::read_write};  // a segment is given back through its head
    bool is_confined_ = false;
};

}  // namespace multiproc
