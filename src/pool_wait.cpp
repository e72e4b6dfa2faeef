// Who looks at the rings, and who sleeps where.
#include <algorithm>

#include <multiproc/errors.hpp>

#include "pool_engine.hpp"

namespace multiproc::detail {
namespace {

// How long a waiter looks for news before it sleeps.
constexpr auto spin_time = std::chrono::microseconds(50);
// A worker could have scribbled over the page that wakes us. While tasks are out, nobody sleeps longer than this at
// once.
constexpr auto longest_sleep = std::chrono::seconds(1);
// A bounded writer is held back while this many items per worker are waiting...
constexpr std::uint64_t window_items = 64;
// ... and this much time of work is; or this many messages per worker that are too big for a ring.
constexpr std::uint64_t window_segments = 2;
constexpr double window_nanoseconds = 20'000'000;

}  // namespace

bool PoolEngine::wait(CallState& call, os::Deadline deadline) {
    if (call.is_done()) return true;
    require_ours();
    std::unique_lock lock(mutex_);
    while (!call.is_done()) {
        if (waiter_present_) {
            // Another thread looks at the rings, for us too.
            if (deadline == os::never) {
                ++queued_waiters_;
                changed_.wait(lock);
                --queued_waiters_;
            } else {
                ++queued_waiters_;
                const std::cv_status status = changed_.wait_until(lock, deadline);
                --queued_waiters_;
                if (status == std::cv_status::timeout) break;
            }
            continue;
        }
        waiter_present_ = true;
        pump();
        while (!call.is_done() && os::Clock::now() < deadline) {
            look_until_news(lock, deadline);
            pump();
        }
        waiter_present_ = false;
        if (os::Clock::now() >= deadline) break;
    }
    // Also if this thread was not the waiter: it may be the one that was told to take the place and needs it no more.
    if (!waiter_present_) hand_over();
    return call.is_done();
}

// Sleeps until a worker has sent something, a worker has died, somebody wakes us, or the deadline.
void PoolEngine::look_until_news(std::unique_lock<std::mutex>& lock, os::Deadline deadline) {
    const std::uint32_t ticket = doorbell_.waiter_ticket();
    doorbell_.announce(DoorbellPage::waiter);
    if (has_news()) return;
    const os::Deadline now = os::Clock::now();
    // Looking costs a processor, so it is worth it only while the workers leave one free.
    const bool spins = busy_workers() < processors_;
    waiter_asleep_ = true;
    lock.unlock();
    const os::Deadline spin_end = spins ? std::min(deadline, now + spin_time) : now;
    while (doorbell_.waiter_ticket() == ticket) {
        for (int i = 0; i < 32 && doorbell_.waiter_ticket() == ticket; ++i) os::relax_cpu();
        if (os::Clock::now() < spin_end) continue;
        doorbell_.sleep_as_waiter(ticket, std::min(deadline, now + longest_sleep));
        break;
    }
    lock.lock();
    waiter_asleep_ = false;
}

std::size_t PoolEngine::busy_workers() const noexcept {
    return static_cast<std::size_t>(
        std::ranges::count_if(workers_, [](const auto& worker) { return !worker->in_flight.empty(); }));
}

// The waiter leaves: the next one takes its place, or the service thread is told what to wake up for.
void PoolEngine::hand_over() {
    if (queued_waiters_ != 0) {
        changed_.notify_all();
        return;
    }
    brief_service();
}

// Makes sure that the service thread, while it sleeps, is woken by what concerns it.
void PoolEngine::brief_service() {
    const DoorbellPage::Mode mode = service_mode();
    if (doorbell_.mode() == mode) return;
    doorbell_.announce(mode);
    // What happened before the announcement was told to nobody.
    if (mode != DoorbellPage::nobody && has_news()) doorbell_.wake_service();
}

DoorbellPage::Mode PoolEngine::service_mode() const noexcept {
    if (state_ == State::closing) return DoorbellPage::service_any;
    return outstanding_ != 0 ? DoorbellPage::service_low : DoorbellPage::nobody;
}

void PoolEngine::serve() {
    std::unique_lock lock(mutex_);
    try {
        serve_locked(lock);
    } catch (const std::exception& error) {
        if (!lock.owns_lock()) lock.lock();
        break_pool(std::string("this process has run into ") + error.what());
    }
}

void PoolEngine::serve_locked(std::unique_lock<std::mutex>& lock) {
    while (!service_stop_) {
        const std::uint32_t ticket = doorbell_.service_ticket();
        replace_missing(lock);
        bool sleep = true;
        if (!waiter_present_) {
            pump();
            doorbell_.announce(service_mode());
            sleep = !has_news();
        } else if (has_exits_.load(std::memory_order_acquire)) {
            handle_exits();
            sleep = false;
        }
        if (!sleep || service_stop_) continue;
        const os::Deadline deadline = outstanding_ != 0 ? os::Clock::now() + longest_sleep : os::never;
        lock.unlock();
        doorbell_.sleep_as_service(ticket, deadline);
        lock.lock();
    }
}

void PoolEngine::await_room(CallState& call) {
    std::unique_lock lock(mutex_);
    const auto is_full = [&] {
        if (state_ == State::terminated || state_ == State::broken || call.is_done()) return false;
        if (call.waiting_segments >= window_segments * workers_.size()) return true;
        if (call.waiting < window_items * workers_.size()) return false;
        return call.stats->nanoseconds_per_item == 0 ||
               call.stats->nanoseconds_per_item * static_cast<double>(call.waiting) > window_nanoseconds;
    };
    while (is_full()) {
        if (waiter_present_) {
            ++queued_waiters_;
            changed_.wait(lock);
            --queued_waiters_;
            continue;
        }
        waiter_present_ = true;
        pump();
        while (is_full()) {
            look_until_news(lock, os::never);
            pump();
        }
        waiter_present_ = false;
    }
    if (!waiter_present_) hand_over();
}

}  // namespace multiproc::detail
