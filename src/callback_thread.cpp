#include "callback_thread.hpp"

#include <exception>
#include <utility>

#include "error_text.hpp"
#include "os.hpp"

namespace multiproc {
namespace {

thread_local bool is_callback_thread = false;

}  // namespace

CallbackThread::CallbackThread() : queue_(std::make_shared<Queue>()) {
    thread_ = std::thread([queue = queue_] { run(*queue); });
}

CallbackThread::~CallbackThread() {
    {
        const std::lock_guard lock(queue_->mutex);
        queue_->is_ending = true;
    }
    queue_->changed.notify_all();
    if (is_callback_thread) {
        thread_.detach();  // the queue is the thread's, too
    } else {
        thread_.join();
    }
}

void CallbackThread::post(std::unique_ptr<Job> job) noexcept {
    {
        const std::lock_guard lock(queue_->mutex);
        queue_->jobs.push(std::move(job));
    }
    queue_->changed.notify_all();
}

void CallbackThread::drain() {
    if (is_callback_thread) return;
    std::unique_lock lock(queue_->mutex);
    queue_->changed.wait(lock, [this] { return queue_->jobs.is_empty() && !queue_->is_running; });
}

void CallbackThread::run(Queue& queue) {
    is_callback_thread = true;
    std::unique_lock lock(queue.mutex);
    for (;;) {
        queue.changed.wait(lock, [&] { return !queue.jobs.is_empty() || queue.is_ending; });
        if (queue.jobs.is_empty()) return;
        std::unique_ptr<Job> job = queue.jobs.pop();
        queue.is_running = true;
        lock.unlock();
        try {
            job->run();
        } catch (...) { os::print_error("multiproc: a callback threw " + current_exception_text() + "\n"); }
        job.reset();  // what it holds may be the last of a pool
        lock.lock();
        queue.is_running = false;
        queue.changed.notify_all();
    }
}

}  // namespace multiproc
