// The pool: who runs what, and who looks after it.
//
// Everything is guarded by one mutex, which is never held while the thread sleeps, starts a process, or runs user code.
// The rings are looked at by whichever thread has a reason to: a thread that waits for a result (the "waiter"), a
// thread that submits, or the pool's service thread, which sleeps unless a worker runs out of tasks, cannot go on, or
// has died.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include <multiproc/detail/pool_client.hpp>

#include "call_state.hpp"
#include "child.hpp"
#include "doorbell.hpp"

namespace multiproc::detail {

struct PoolSettings {
    std::size_t workers = 1;
    StartMethod start_method = StartMethod::automatic;
    std::string name;
    std::uint64_t max_tasks_per_worker = 0;
    StoredCall initializer;
    StoredCall finalizer;
};

class PoolEngine : public std::enable_shared_from_this<PoolEngine> {
public:
    explicit PoolEngine(PoolSettings settings);
    ~PoolEngine();

    // See Pool.
    void start();
    void close();
    void terminate();
    void join();
    std::size_t size() const noexcept { return settings_.workers; }
    std::vector<std::uint32_t> worker_pids();
    bool is_ours() const noexcept;
    void require_ours() const;

    // Submission. `begin` starts the pool if need be and refuses when it takes no work.
    std::shared_ptr<CallState> begin(const TaskTarget& target, std::size_t chunk_size);
    void submit(const std::shared_ptr<CallState>& call, ItemBlock block, std::uint32_t count);
    void complete_input(CallState& call);
    // The caller lost interest: items that no worker has begun are dropped.
    void withdraw(CallState& call);
    // Waits until little enough of the call is waiting that writing more of it makes sense.
    void await_room(CallState& call);
    SegmentSource& segments() noexcept { return segments_; }

    // Returns whether the call is done.
    bool wait(CallState& call, os::Deadline deadline);

private:
    enum class State : std::uint8_t { idle, running, closing, terminated, broken };

    // Items not handed to a worker yet.
    struct Batch {
        std::shared_ptr<CallState> call;
        std::shared_ptr<const ItemBlock> block;
        std::uint64_t first = 0;  // index of its first item in the call
        std::uint32_t count = 0;
        std::size_t offset = 0;  // of that item in the block
    };
    // Items in a worker's ring, or being run.
    struct Dispatch {
        Batch batch;
        std::uint64_t id = 0;
        std::uint64_t position = 0;  // in the ring
        std::uint32_t received = 0;  // items with a result
        double expected = 0;         // nanoseconds, guessed
    };
    struct Worker {
        std::uint64_t serial = 0;
        std::unique_ptr<Child> child;
        std::deque<Dispatch> in_flight;  // in the order the worker runs them
        double ahead = 0;                // nanoseconds of work in it, guessed
        std::uint64_t assigned = 0;      // items ever
        bool is_initialised = false;
        bool is_stopping = false;      // gets no more tasks...
        bool is_finalizing = false;    // ... its finalizer is in its ring...
        bool is_told_to_stop = false;  // ... and the word to leave
        bool is_broken = false;        // sent nonsense, is being killed
    };

    // pool_engine.cpp
    void start_locked(std::unique_lock<std::mutex>& lock);
    void make_doorbell();
    void await_exits();
    void require_open() const;
    void fail_everything(const std::exception_ptr& error);
    void end_workers(std::unique_lock<std::mutex>& lock);
    void stop_service(std::unique_lock<std::mutex>& lock);
    bool all_done() const noexcept { return outstanding_ == 0 && open_inputs_ == 0; }

    // pool_pump.cpp: moving tasks and results
    void pump() noexcept;
    void move_tasks_and_results();
    void drain(Worker& worker);
    bool accept(Worker& worker, const ResultRingParent::Record& record);
    static bool take_over_segment(ResultMessage& message, Child& child, CallState& call, std::uint64_t index);
    void finish_items(Worker& worker, std::uint32_t count);
    void feed();
    void rebalance();
    Worker* pick_worker();
    bool dispatch(Worker& worker, Batch& batch);
    std::uint32_t chunk_of(const Batch& batch) const;
    bool take_back_last(Worker& worker);
    bool has_news();
    void notify_done();

    // pool_wait.cpp: who sleeps where
    void serve();
    void serve_locked(std::unique_lock<std::mutex>& lock);
    void brief_service();
    void look_until_news(std::unique_lock<std::mutex>& lock, os::Deadline deadline);
    DoorbellPage::Mode service_mode() const noexcept;
    void hand_over();
    std::size_t busy_workers() const noexcept;

    // pool_workers.cpp: starting and losing workers
    std::unique_ptr<Worker> start_worker();
    void install(std::unique_ptr<Worker> worker);
    void on_child_exit(std::uint64_t serial) noexcept;
    void handle_exits();
    void bury(Worker& worker);
    void salvage(Worker& worker);
    void fail_running(Worker& worker);
    void requeue(Worker& worker);
    void note_failed_start(const Worker& worker);
    void replace_missing(std::unique_lock<std::mutex>& lock);
    void break_pool(const std::string& why);
    void retire(Worker& worker);
    void retire_idle();

    const PoolSettings settings_;
    const std::uint32_t owner_;
    const std::size_t processors_ = os::cpu_count();
    SegmentSource segments_;

    std::mutex mutex_;
    State state_ = State::idle;
    bool is_starting_ = false;
    std::string broken_text_;
    std::condition_variable changed_;  // a call is done, the waiter's place is free, the state changed

    os::Segment doorbell_segment_;
    Doorbell doorbell_;
    static constexpr std::uint32_t no_slot = UINT32_MAX;
    std::uint32_t waiter_slot_ = no_slot, service_slot_ = no_slot;
    bool waiter_present_ = false;  // a thread has the waiter's place
    bool waiter_asleep_ = false;   //   and sleeps, or is about to
    std::size_t queued_waiters_ = 0;
    bool service_stop_ = false;
    std::thread service_;

    std::vector<std::unique_ptr<Worker>> workers_;
    std::deque<Batch> pending_;
    std::uint64_t outstanding_ = 0;  // items submitted and not finished
    std::uint64_t open_inputs_ = 0;  // calls whose input is still being written
    std::uint64_t next_id_ = 1;
    std::uint64_t next_serial_ = 1;
    std::size_t failed_starts_ = 0;  // in a row
    std::unordered_map<const TaskRef*, TaskStats> stats_;

    std::mutex exits_mutex_;
    std::condition_variable exits_changed_;
    std::vector<std::uint64_t> exited_;       // serials
    std::vector<std::uint64_t> early_exits_;  // of workers that ended before they were installed; guarded by mutex_
    std::size_t living_ = 0;                  // children started and not known to have ended
    std::atomic<bool> has_exits_{false};
};

}  // namespace multiproc::detail
