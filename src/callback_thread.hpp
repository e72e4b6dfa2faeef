// The thread that runs what users want to be told: continuations and reports of progress. One per pool that needs it.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace multiproc {

class CallbackThread {
public:
    CallbackThread();  // throws std::system_error
    // Runs what was posted before, then ends; if it is this very thread that destroys it, after returning.
    ~CallbackThread();
    CallbackThread(const CallbackThread&) = delete;
    CallbackThread& operator=(const CallbackThread&) = delete;

    // Runs the functions in the order they were posted. What one throws is written to standard error. Thread-safe.
    void post(std::function<void()> function);
    // Waits until everything posted so far was run. On this very thread: returns at once. Thread-safe.
    void drain();
    bool is_current() const noexcept { return thread_.get_id() == std::this_thread::get_id(); }

private:
    struct Queue {
        std::mutex mutex;
        std::condition_variable changed;
        std::deque<std::function<void()>> functions;
        bool is_running = false;
        bool is_ending = false;
    };
    static void run(Queue& queue);

    std::shared_ptr<Queue> queue_;
    std::thread thread_;
};

}  // namespace multiproc
