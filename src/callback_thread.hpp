// The thread that runs what users want to be told: continuations and reports of progress. One per pool that needs it.
//
// What users gave is also destroyed here: its destructor is their code too, and may use the pool whose mutex is held where
// a call is given up. So a job that has nothing to run may be posted, and posting cannot fail.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace multiproc {

class CallbackThread {
public:
    // Run once, and destroyed.
    class Job {
    public:
        Job() = default;
        Job(const Job&) = delete;
        Job& operator=(const Job&) = delete;
        virtual ~Job() = default;
        virtual void run() {}

    private:
        friend class CallbackThread;
        std::unique_ptr<Job> next_;
    };

    // Jobs in the order in which they were added. Nothing is allocated.
    class Jobs {
    public:
        Jobs() = default;
        Jobs(const Jobs&) = delete;
        Jobs& operator=(const Jobs&) = delete;
        ~Jobs() {
            while (first_) pop();  // one after the other, not one inside the other
        }
        bool is_empty() const noexcept { return first_ == nullptr; }
        void push(std::unique_ptr<Job> job) noexcept {
            Job* const last = job.get();
            (first_ ? last_->next_ : first_) = std::move(job);
            last_ = last;
        }
        std::unique_ptr<Job> pop() noexcept {
            std::unique_ptr<Job> job = std::move(first_);
            first_ = std::move(job->next_);
            return job;
        }

    private:
        std::unique_ptr<Job> first_;
        Job* last_ = nullptr;
    };

    CallbackThread();  // throws std::system_error
    // Runs what was posted before, then ends; on a callback thread, be it this or another one, after returning.
    ~CallbackThread();
    CallbackThread(const CallbackThread&) = delete;
    CallbackThread& operator=(const CallbackThread&) = delete;

    // Runs the jobs in the order they were posted. What one throws is written to standard error. Thread-safe.
    void post(std::unique_ptr<Job> job) noexcept;
    // Waits until everything posted so far was run. On a callback thread, be it this or another one, it returns at once:
    // two that waited for each other would do so for ever. Thread-safe.
    void drain();
    bool is_current() const noexcept { return thread_.get_id() == std::this_thread::get_id(); }

private:
    struct Queue {
        std::mutex mutex;
        std::condition_variable changed;
        Jobs jobs;
        bool is_running = false;
        bool is_ending = false;
    };
    static void run(Queue& queue);

    std::shared_ptr<Queue> queue_;
    std::thread thread_;
};

}  // namespace multiproc
