// The pool: who runs what, and who looks after it.
//
// Everything is guarded by one mutex, which is never held while the thread sleeps, starts a process, or runs user code.
// The rings are looked at by whichever thread has a reason to: a thread that waits for a result (the "waiter"), a
// thread that submits, or the pool's service thread, which sleeps unless a worker runs out of tasks while some are
// waiting, cannot go on, has died, or must be watched.
//
// The engine lives as long as its Pool, or a call of it that somebody holds.
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
#include <multiproc/pool_stats.hpp>

#include "call_state.hpp"
#include "callback_thread.hpp"
#include "child.hpp"
#include "doorbell.hpp"
#include "item_block.hpp"
#include "patience.hpp"
#include "pool_trace.hpp"

namespace multiproc::detail {

struct PoolSettings {
    std::size_t workers = 1;
    StartMethod start_method = StartMethod::automatic;
    std::string name;
    std::uint64_t max_tasks_per_worker = 0;
    std::uint64_t memory_limit = 0;            // bytes of each worker; 0: none
    std::chrono::nanoseconds idle_timeout{0};  // after which a worker ends; 0: never. Then they start on demand, too
    std::string trace;                         // file for the timeline; empty: none
    bool limits_threads = true;                // of libraries in the workers
    bool is_sandboxed = false;
    StoredCall preload;
    StoredCall initializer;
    StoredCall finalizer;
};

class PoolEngine {
public:
    explicit PoolEngine(PoolSettings settings);
    PoolEngine(const PoolEngine&) = delete;
    PoolEngine& operator=(const PoolEngine&) = delete;
    void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
    void release() noexcept;

    // See Pool.
    void start();
    void close();
    void terminate();
    void join();
    std::size_t size() const noexcept { return size_; }
    void resize(std::size_t workers);
    std::vector<std::uint32_t> worker_pids();
    PoolStats stats();
    bool is_ours() const noexcept { return owner_ == os::current_pid(); }

    // Submission: starts the pool if need be, and refuses when it takes no work. The attachments are moved from.
    CallRef submit_single(const TaskTarget& target, ItemShape shape, std::span<const std::byte> message,
                          std::size_t prefix, std::span<Attachment> attachments, const CallOptions* options,
                          bool waits);
    CallRef submit_single(const TaskTarget& target, ItemShape shape, SegmentLease message, std::size_t size,
                          std::size_t prefix, std::span<Attachment> attachments, const CallOptions* options,
                          bool waits);
    CallRef begin_map(const TaskTarget& target, const CallOptions& options, ResultSink sink);
    void submit_items(CallState& call, std::shared_ptr<ItemBlock> block, std::uint64_t count);
    void complete_input(CallState& call);
    // The caller lost interest: items that no worker has begun are dropped. Does nothing more when called again.
    void withdraw(CallState& call);
    // Waits until little enough of the call is waiting that writing more of it makes sense.
    void await_room(CallState& call);
    SegmentSource& segments() noexcept { return segments_; }

    // The call of an imap: its input may be written while the pool is closed, until somebody joins it.
    CallRef begin_stream(const TaskTarget& target, const CallOptions& options);
    // Waits for results or errors of it, and moves them to `taken`, which is empty. False at the deadline. Nothing is
    // taken and true returned if no more will come.
    bool take_arrived(CallState& call, std::vector<StreamPart>& taken, os::Deadline deadline);
    // Whether as many large messages of it are waiting as make sense.
    bool is_crowded(CallState& call);

    // Returns whether the call is done. `stopped`, if given, ends the wait; call `interrupt_waits` after setting it.
    bool wait(CallState& call, os::Deadline deadline, const std::atomic<bool>* stopped = nullptr);
    void interrupt_waits();
    // Waits until no report of the call's progress is on its way, unless that could be for ever.
    void await_reports(CallState& call) noexcept;
    bool cancel(CallState& call);
    void then(CallState& call, Continuation continuation);
    // The call's end, also if it was before, is pushed to the queue; until `ignore`.
    void listen(CallState& call, Listener listener);
    void ignore(CallState& call, const CompletionQueue& queue) noexcept;
    // A call that nobody is interested in any more.
    void recycle(CallState* call) noexcept;

private:
    ~PoolEngine();
    enum class State : std::uint8_t { idle, running, closing, terminated, broken };

    // A task that this pool has come across.
    struct KnownTask {
        TaskTarget target;
        const TaskRef* ref = nullptr;
        TaskStats* stats = nullptr;
    };
    // Items in a worker's ring, or being run.
    struct Dispatch {
        Batch batch;
        std::uint64_t id = 0;
        std::uint64_t position = 0;  // in the ring...
        std::uint64_t end = 0;       // ... and behind it
        std::uint32_t received = 0;  // items with a result
        std::uint32_t attempts = 0;  // how often a worker has died with the item behind those
        double expected = 0;         // nanoseconds, guessed
        std::size_t bytes = 0;       // of arguments
    };
    struct Worker {
        std::uint64_t serial = 0;
        std::unique_ptr<Child> child;
        std::deque<Dispatch> in_flight;  // in the order the worker runs them
        double ahead = 0;                // nanoseconds of work in it, guessed
        WorkerStats tally;
        os::Clock::time_point started;
        os::Clock::time_point idle_since;  // if workers start on demand
        Batch set_up;                      // what it runs first, until that is in its ring
        std::string refusal;               // why what it runs first or last could not be sent...
        os::Clock::time_point late_since;  // ... since when its ring has not moved for that reason...
        std::uint64_t late_position = 0;   // ... from here
        std::uint64_t assigned = 0;        // items ever
        bool is_initialised = false;
        bool is_stopping = false;        // gets no more tasks...
        bool is_finalizing = false;      // ... its finalizer is in its ring...
        bool is_told_to_stop = false;    // ... and the word to leave
        bool is_broken = false;          // sent nonsense, is being killed
        bool is_condemned = false;       // is being killed, with the task it runs...
        ErrorMaker verdict;              // ... which fails with this, if not with that death
        bool is_slow = false;            // has run the same message for a while...
        std::uint64_t seen_running = 0;  // ... this one...
        std::uint32_t seen_item = 0;     // ... and was at this item of it

        bool is_prepared() const noexcept { return set_up.block == nullptr; }
        bool is_staying() const noexcept { return !is_stopping && !is_broken && !is_condemned && !child->has_exited(); }
        bool is_usable() const noexcept { return is_prepared() && is_staying(); }
        // Something it is to run first or last could not be sent to it, or the word to leave.
        bool is_late() const noexcept {
            if (is_broken || is_condemned || child->has_exited()) return false;
            return is_stopping ? !is_told_to_stop : !is_prepared();
        }
    };
    // What workers run at their begin or end. Too large for a ring, it is in a segment.
    struct InternalCall {
        StoredCall call;
        SegmentLease lease;
        explicit operator bool() const noexcept { return static_cast<bool>(call); }
    };

    // pool_engine.cpp
    void require_ours();
    void require_open() const;
    void start_locked(std::unique_lock<std::mutex>& lock);
    void start_local(std::unique_lock<std::mutex>& lock);
    void make_doorbell();
    void make_internal_calls();
    static InternalCall internal_call(StoredCall call);
    std::string set_up_name() const;
    void require_plain(std::span<const Attachment> attachments) const;
    void await_exits();
    void fail_everything(const ErrorMaker& error);
    void end_workers(std::unique_lock<std::mutex>& lock);
    void stop_service(std::unique_lock<std::mutex>& lock);
    void write_trace() noexcept;
    bool all_done() const noexcept {
        return outstanding_ == 0 && open_inputs_ == 0 && (open_streams_ == 0 || is_joining_);
    }
    bool is_starting_elsewhere() const noexcept { return is_starting_ && local_starter_ != std::this_thread::get_id(); }
    void drain_callbacks(std::unique_lock<std::mutex>& lock);
    // Waiting for `changed_`, and telling those who do.
    bool sleep_until_changed(std::unique_lock<std::mutex>& lock, os::Deadline deadline = os::never);
    void tell_changed() noexcept;

    // pool_submit.cpp
    void open_for_work(std::unique_lock<std::mutex>& lock);
    const KnownTask& know(const TaskTarget& target);
    ItemBlock& block_for_single(const KnownTask& task, ItemShape shape, std::span<const std::byte> fields,
                                std::size_t item_size, std::size_t attachments, bool alone);
    std::shared_ptr<ItemBlock> new_shared_block(std::size_t needed, bool alone);
    void reuse(std::shared_ptr<ItemBlock> block) noexcept;
    static std::unique_ptr<CallDetails> details_for(const CallOptions* options);
    CallRef new_call(const KnownTask& task, std::unique_ptr<CallDetails>& details);
    void note_choices(CallState& call) noexcept;
    template <class Queue>
    CallRef submit_call(const TaskTarget& target, const CallOptions* options, bool waits, Queue queue);
    void after_submission();
    bool is_on_demand() const noexcept { return settings_.idle_timeout.count() != 0; }
    bool is_local() const noexcept { return settings_.workers == 0; }
    void run_here(std::unique_lock<std::mutex>& lock, CallState& call);
    void run_part_here(std::unique_lock<std::mutex>& lock, const Batch& part);
    void forget_items(std::uint64_t count) noexcept { outstanding_ -= std::min(count, outstanding_); }

    // pool_pump.cpp: moving tasks and results
    void pump() noexcept;
    void move_tasks_and_results();
    static bool is_expected(const Worker& worker) noexcept;
    void drain(Worker& worker);
    void give_up(Worker& worker);
    bool accept(Worker& worker, const ResultRingParent::Record& record);
    bool deliver(Worker& worker, ResultMessage& message);
    bool store_results(const ItemBlock& block, std::uint64_t first, ResultMessage& message);
    void fail_results(const ItemBlock& block, std::uint64_t first, ResultMessage& message, const ErrorMaker& error);
    void detach_unused_blocks();
    void finish_items(Worker& worker, std::uint32_t count);
    void account(ItemBlock& block, std::uint64_t first, std::uint32_t count);
    void note_finished(Worker& worker, const Dispatch& dispatch, const ResultMessage& message);
    void note_gone(const Worker& worker);
    void note_failed(Worker& worker, const Dispatch& dispatch, std::uint32_t count);
    bool has_news();

    // pool_calls.cpp: calls that run
    void call_progressed(CallState& call);
    void call_done(CallState& call);
    void report_progress(CallState& call);
    void report(CallState& call);
    static Progress progress_of(const CallDetails& details);
    CallbackThread& callbacks();
    bool take_back_call(Worker& worker, const CallState& call);
    void drop_call(Worker& worker, const CallState& call);
    bool condemn(Worker& worker);
    static std::uint32_t item_at(Worker& worker);
    bool end_cancelled_task(Worker& worker);
    static std::string overdue_text(const CallState& call, std::uint64_t item);
    os::Deadline check_timeouts();

    // pool_feed.cpp: who gets what
    void feed() noexcept;
    void hand_out();
    void rebalance();
    void ask_for_workers() noexcept;
    Worker* pick_worker();
    bool dispatch(Worker& worker, Batch& batch);
    void fail_unsent(Batch& batch, std::uint32_t count, std::size_t end, const ErrorMaker& error);
    static void note_taken(const ItemBlock& block, const Batch& rest, std::uint32_t count) noexcept;
    bool skip_finished(Batch& batch);
    std::uint32_t chunk_of(const Batch& batch) const;
    std::uint32_t flags_of(const Batch& batch, std::uint32_t count) const noexcept;
    static bool is_internal(const Dispatch& dispatch) noexcept;
    bool take_back_last(Worker& worker);
    void watch_imbalance() noexcept;
    void look_at_imbalance();

    // pool_wait.cpp: who sleeps where
    void await_done(std::unique_lock<std::mutex>& lock, const CallState& single);
    template <class Done>
    bool wait_until(std::unique_lock<std::mutex>& lock, os::Deadline deadline, DoorbellPage::Mode mode, Done done);
    void serve();
    void serve_locked(std::unique_lock<std::mutex>& lock);
    void brief_service();
    void rest(std::unique_lock<std::mutex>& lock, std::uint32_t ticket);
    void look_until_news(std::unique_lock<std::mutex>& lock, os::Deadline deadline, DoorbellPage::Mode mode);
    bool spin_for_news(std::unique_lock<std::mutex>& lock, std::uint32_t ticket, os::Deadline deadline);
    DoorbellPage::Mode service_mode() const noexcept;
    void hand_over();
    std::size_t busy_workers() const noexcept;

    // pool_workers.cpp: starting and losing workers
    std::unique_ptr<Worker> start_worker();
    void install(std::unique_ptr<Worker> started);
    Batch internal_batch(const InternalCall& internal);
    void prepare(Worker& worker);
    void send_what_is_late();
    void note_late(Worker& worker, const std::string& what);
    os::Deadline check_late() const noexcept;
    void on_child_exit(std::uint64_t serial) noexcept;
    std::optional<std::uint64_t> next_exit() noexcept;
    void handle_exits();
    void bury(Worker& worker);
    void salvage(Worker& worker);
    void fail_running(Worker& worker);
    bool may_retry(Worker& worker);
    void requeue(Worker& worker);
    void note_failed_start(const Worker& worker);
    void replace_missing(std::unique_lock<std::mutex>& lock);
    void break_pool(const std::string& why);
    void retire(Worker& worker);
    void retire_idle();
    std::size_t wanted_workers() const noexcept;
    void note_idle(Worker& worker) noexcept;
    os::Deadline check_idle();

    std::atomic<std::uint64_t> references_{1};
    const PoolSettings settings_;
    // What a worker runs first, and what of it the fork server is to run. Made at the start, constant then.
    InternalCall set_up_;
    InternalCall finalizer_;
    std::string preload_;
    std::atomic<std::size_t> size_{0};  // workers wanted
    std::uint32_t owner_;
    const std::size_t processors_ = os::cpu_count();
    SegmentSource segments_;
    // Raised when workers need not keep some block any more: that is, once they have been sent some.
    const std::shared_ptr<BlockSignal> block_signal_ =
        std::make_shared<BlockSignal>([this] { doorbell_.wake_service(); });

    std::mutex mutex_;
    State state_ = State::idle;
    bool is_starting_ = false;
    std::thread::id local_starter_;  // who runs the initializer of a pool without workers, which may use the pool
    std::string broken_text_;
    std::condition_variable changed_;  // a call is done, the waiter's place is free, the state changed
    std::size_t sleepers_ = 0;         // threads that wait for it...
    std::size_t candidates_ = 0;       // ... and would take the waiter's place

    os::Segment doorbell_segment_;
    Doorbell doorbell_;
    static constexpr std::uint32_t no_slot = UINT32_MAX;
    std::uint32_t waiter_slot_ = no_slot, service_slot_ = no_slot;
    bool waiter_present_ = false;   // a thread has the waiter's place
    bool waiter_asleep_ = false;    //   and sleeps, or is about to
    bool is_spinning_ = false;      //   or looks at these places, without the mutex
    bool has_changed_ = false;      //   until something has changed, which it will see when it takes the mutex
    multiproc::Patience patience_;  // by its full name: queues have a detail::Patience
    std::vector<const RecordWord*> looked_at_;
    bool service_stop_ = false;
    bool service_asleep_ = false;
    DoorbellPage::Mode service_armed_ = DoorbellPage::nobody;  // what wakes the service thread, while it sleeps
    os::Clock::time_point last_woken_;
    os::Deadline service_deadline_ = os::never;  // until when it sleeps
    std::thread service_;

    CallSlab calls_;
    std::uint64_t prepaid_references_ = 0;  // of calls to come
    std::unordered_map<const TaskRef*, TaskStats> stats_;
    KnownTask last_task_;

    std::vector<std::unique_ptr<Worker>> workers_;
    std::vector<std::unique_ptr<Worker>> graves_;  // of dead ones, while somebody looks at their memory
    PoolStats past_;                               // of the workers that are gone
    std::unique_ptr<PoolTrace> trace_;
    std::deque<Batch> pending_;
    std::shared_ptr<ItemBlock> spare_block_;  // to be used again
    std::uint64_t pending_items_ = 0;         // single tasks since the rings were looked at
    bool may_be_idle_ = true;                 // some worker may have nothing to do
    bool wants_workers_ = false;              // some are missing and tasks are waiting; the service thread was told
    bool imbalance_ = false;                  // see watch_imbalance
    bool has_late_ = false;                   // some worker could not be sent what it runs first or last, or to leave
    std::uint64_t outstanding_ = 0;           // items submitted and not finished
    std::uint64_t watched_ = 0;               // calls with a timeout that are not done
    std::unique_ptr<CallbackThread> callbacks_;
    std::uint64_t interest_ = 0;      // in calls that are not done: continuations, listeners, reports of progress
    std::uint64_t open_inputs_ = 0;   // calls whose input is still being written
    std::uint64_t open_streams_ = 0;  // the same of imaps, which are written as their results are read
    bool is_joining_ = false;         // a thread is, or was, in `join`
    std::uint64_t next_id_ = 1;
    std::atomic<std::uint64_t> next_serial_{1};
    std::size_t failed_starts_ = 0;  // in a row
    std::size_t lost_workers_ = 0;   // that died and were not replaced yet
    std::size_t idle_deaths_ = 0;    // in a row, of workers that had been ready and run nothing

    std::mutex exits_mutex_;
    std::condition_variable exits_changed_;
    std::vector<std::uint64_t> exited_;       // serials
    std::vector<std::uint64_t> early_exits_;  // of workers that ended before they were installed; guarded by mutex_
    std::size_t living_ = 0;                  // children started and not known to have ended
    std::atomic<bool> has_exits_{false};
};

}  // namespace multiproc::detail
