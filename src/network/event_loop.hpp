// Asio's operations for threads that wait for them.
//
// There is no thread in the background: of the threads that wait, one runs the handlers, its own and those of others,
// and the rest sleep. When its own wait is over, another takes its place. So an answer that is waited for by one thread
// wakes that thread and no other on its way.
#pragma once

#include <condition_variable>
#include <mutex>

#include "asio.hpp"
#include "os.hpp"

namespace multiproc::network {

class EventLoop {
public:
    EventLoop() : work_(context_.get_executor()) {}
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;
    ~EventLoop() = default;

    asio::io_context& context() noexcept { return context_; }

    // Guards whatever handlers change. Handlers take it themselves, and call `changed` before they leave it.
    std::mutex mutex;
    void changed() noexcept { news_.notify_all(); }
    // For changes that no handler makes; with the mutex. Also wakes the thread that runs the handlers.
    void changed_outside() {
        changed();
        asio::post(context_, [] {});
    }

    // Waits, with the mutex in `lock`, until `done()`, and returns whether it is. Handlers run meanwhile, here or in
    // another thread that waits; at least once also if the deadline has passed.
    template <class Done>
    bool wait(std::unique_lock<std::mutex>& lock, os::Deadline deadline, const Done& done) {
        for (bool last = false; !done(); last = os::Clock::now() >= deadline) {
            if (last) return false;
            if (!is_run_) {
                run_once(lock, deadline);
            } else if (deadline == os::never) {
                news_.wait(lock);
            } else {
                news_.wait_until(lock, deadline);
            }
        }
        return true;
    }

private:
    // Gives the handlers' place up, however it is left: a handler may throw std::bad_alloc.
    class Running {
    public:
        Running(EventLoop& loop, std::unique_lock<std::mutex>& lock) : loop_(loop), lock_(lock) {
            loop.is_run_ = true;
            lock.unlock();
        }
        ~Running() {
            lock_.lock();
            loop_.is_run_ = false;
            loop_.changed();  // somebody else's wait may be over, and if not, somebody has to go on
        }
        Running(const Running&) = delete;
        Running& operator=(const Running&) = delete;

    private:
        EventLoop& loop_;
        std::unique_lock<std::mutex>& lock_;
    };

    void run_once(std::unique_lock<std::mutex>& lock, os::Deadline deadline) {
        const Running running(*this, lock);
        if (deadline == os::never) {
            context_.run_one();
        } else if (context_.run_one_until(deadline) == 0) {
            context_.poll_one();  // which that does not, when the deadline has passed
        }
    }

    asio::io_context context_;
    asio::executor_work_guard<asio::io_context::executor_type> work_;  // without work a context stops
    std::condition_variable news_;
    bool is_run_ = false;
};

}  // namespace multiproc::network
