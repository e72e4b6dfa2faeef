// What stands behind a Process: its options and arguments before the start, its child, its result.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include <multiproc/process.hpp>

#include "child.hpp"
#include "segment_cache.hpp"
#include "wait_set.hpp"

namespace multiproc::detail {

// Ends are rare, so one mutex and one condition serve all processes; that makes waiting for any of several simple.
class ProcessRegistry {
public:
    // Of this process. A copy that the host forked, and a child made by fork, gets a fresh one.
    static ProcessRegistry& get();

    std::mutex mutex;
    std::condition_variable ended;                       // some process has ended
    WaitSet waiters{};                                   // the same for threads that wait for other things, too
    std::vector<std::shared_ptr<ProcessState>> running;  // in the order of their start

    std::uint32_t next_number() noexcept { return ++count_; }
    // Python's rules at the end of a program: daemons are terminated, the others awaited.
    void finish() noexcept;

private:
    std::uint32_t count_ = 0;
    friend class ProcessState;
    bool at_exit_registered_ = false;
};

class ProcessState : public std::enable_shared_from_this<ProcessState> {
public:
    explicit ProcessState(ProcessOptions options);

    void start();
    // Returns whether the process has ended by then.
    bool await_end(os::Deadline deadline);
    void signal(os::Signal signal);
    void close();
    bool is_alive();
    std::optional<ExitStatus> exit_status();
    std::uint32_t pid();
    std::string name();
    bool daemon() const { return options_.daemon; }
    void require_started();
    // For the registry, which holds its mutex.
    void terminate_locked() noexcept {
        if (child_) child_->signal(os::Signal::terminate);
    }
    // For Sentinel: no checks.
    bool has_ended() const noexcept { return ended_.load(std::memory_order_seq_cst); }

    void set_target(TaskTarget target);
    OutputBuffer& message() { return message_; }
    void callable_written() noexcept { fields_size_ = message_.size(); }
    void read_result(void (*read)(InputBuffer&, void*), void* context);

    // Throws ClosedError in a process that did not make this object, and after `close`.
    void require_usable();

private:
    // What came back, as long as somebody may ask for it.
    struct Result {
        std::function<void()> fail;  // throws the error anew for each reader, as threads must not share one; else empty
        std::vector<std::byte> bytes;
        std::shared_ptr<os::Segment> segment;
        std::size_t segment_bytes = 0;
        std::vector<Attachment> blocks;  // that it refers to
    };

    os::Handle open_redirect(const Redirect& redirect) const;
    const std::string& name_locked();
    bool is_started_locked() const noexcept { return child_ || pid_ != 0; }
    // Lets go of the child's handles, once it has ended and nothing more is wanted of it.
    std::shared_ptr<Child> release_child_locked() noexcept;
    std::shared_ptr<const Result> collect_result();
    std::shared_ptr<const Result> result_of(Child& child) const;

    ProcessOptions options_;
    const std::uint32_t owner_;
    TaskTarget target_;
    SegmentSource segments_;
    SpillBuffer message_{segments_};
    std::size_t fields_size_ = 0;  // of the callable, at the message's begin

    // Guarded by the registry's mutex.
    bool starting_ = false;
    bool closed_ = false;
    std::shared_ptr<Child> child_;
    std::uint32_t pid_ = 0;  // this and the status: once the child was released
    ExitStatus status_;
    std::string task_name_;
    std::shared_ptr<const Result> result_;
    std::atomic<bool> ended_{false};

    std::mutex collecting_;  // the first reader takes the result out of the channel
};

}  // namespace multiproc::detail
