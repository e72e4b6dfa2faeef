// Which calls are done, in that order: what a thread waits for that has several, also of different pools.
//
// Calls push under the mutex of their pool, so whoever holds the queue's mutex must not ask for a pool's.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <vector>

#include "interrupt.hpp"

namespace multiproc::detail {

class CompletionQueue {
public:
    // Each of `calls` calls is pushed once, so room for all is all that is ever needed.
    explicit CompletionQueue(std::size_t calls) { done_.reserve(calls); }

    void push(std::size_t index) noexcept {
        const std::lock_guard lock(mutex_);
        done_.push_back(index);
        changed_.notify_all();
    }

    // The next one; nothing at the deadline. All have come out: do not ask.
    std::optional<std::size_t> pop(os::Deadline deadline) {
        std::unique_lock lock(mutex_);
        const auto is_there = [this] { return next_ < done_.size(); };
        if (!wait_interruptibly(changed_, lock, deadline, is_there)) return std::nullopt;
        return done_[next_++];
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::size_t> done_;
    std::size_t next_ = 0;  // to come out
};

}  // namespace multiproc::detail
