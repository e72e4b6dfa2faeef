#include "callback_thread.hpp"

#include <exception>
#include <utility>

#include "error_text.hpp"
#include "os.hpp"

namespace multiproc {

CallbackThread::CallbackThread() : queue_(std::make_shared<Queue>()) {
    thread_ = std::thread([queue = queue_] { run(*queue); });
}

CallbackThread::~CallbackThread() {
    {
        const std::lock_guard lock(queue_->mutex);
        queue_->is_ending = true;
    }
    queue_->changed.notify_all();
    if (is_current()) {
        thread_.detach();
    } else {
        thread_.join();
    }
}

void CallbackThread::post(std::function<void()> function) {
    {
        const std::lock_guard lock(queue_->mutex);
        queue_->functions.push_back(std::move(function));
    }
    queue_->changed.notify_all();
}

void CallbackThread::drain() {
    if (is_current()) return;
    std::unique_lock lock(queue_->mutex);
    queue_->changed.wait(lock, [this] { return queue_->functions.empty() && !queue_->is_running; });
}

void CallbackThread::run(Queue& queue) {
    std::unique_lock lock(queue.mutex);
    for (;;) {
        queue.changed.wait(lock, [&] { return !queue.functions.empty() || queue.is_ending; });
        if (queue.functions.empty()) return;
        std::function<void()> function = std::move(queue.functions.front());
        queue.functions.pop_front();
        queue.is_running = true;
        lock.unlock();
        try {
            function();
        } catch (...) { os::print_error("multiproc: a callback threw " + current_exception_text() + "\n"); }
        function = nullptr;  // what it holds may be the last of a pool
        lock.lock();
        queue.is_running = false;
        queue.changed.notify_all();
    }
}

}  // namespace multiproc
