// Who looks at the rings, and who sleeps where.
#include <algorithm>

#include <multiproc/errors.hpp>

#include "interrupt.hpp"
#include "pool_engine.hpp"

namespace multiproc::detail {
namespace {

// How long a waiter looks for news before it sleeps.
constexpr auto spin_time = std::chrono::microseconds(50);
// So often it looks without a pause at first.
constexpr int eager_looks = 1024;
// A worker could have scribbled over the page that wakes us. While tasks are out, nobody sleeps longer than this at
// once.
constexpr auto longest_sleep = std::chrono::seconds(1);
// A bounded writer is held back while this many items per worker are waiting...
constexpr std::uint64_t window_items = 64;
// ... and this much time of work is; or this many messages per worker that are too big for a ring.
constexpr std::uint64_t window_segments = 2;
constexpr double window_nanoseconds = 20'000'000;
// How long the service thread rests when it is woken again and again, and how often it looks at slow workers.
constexpr auto rest_time = std::chrono::microseconds(100);
constexpr auto imbalance_interval = std::chrono::milliseconds(2);

// Ctrl+C counts as the deadline. The call that has waited says which it was.
bool is_past(os::Deadline deadline) noexcept {
    return (deadline != os::never && os::Clock::now() >= deadline) || is_interrupted();
}

class Presence {
public:
    explicit Presence(bool& present) : present_(present) { present_ = true; }
    ~Presence() { present_ = false; }
    Presence(const Presence&) = delete;
    Presence& operator=(const Presence&) = delete;

private:
    bool& present_;
};

}  // namespace

// Waits until `done()`, which is asked with the mutex held. Returns whether it is.
template <class Done>
bool PoolEngine::wait_until(std::unique_lock<std::mutex>& lock, os::Deadline deadline, DoorbellPage::Mode mode,
                            Done done) {
    while (!done()) {
        if (waiter_present_ || is_local()) {
            // Another thread looks at the rings, for us too; or there are none, and another thread runs the tasks.
            ++candidates_;
            sleep_until_changed(lock, next_look(deadline));
            --candidates_;
            if (is_past(deadline)) break;
            continue;
        }
        {
            const Presence here(waiter_present_);  // also if there is no memory to look on
            while (!done() && !is_past(deadline)) {
                look_until_news(lock, deadline, mode);
                pump();
            }
        }
        if (is_past(deadline)) break;
    }
    // Also if this thread was not the waiter: it may be the one that was told to take the place and needs it no more.
    hand_over();
    return done();
}

void PoolEngine::await_done(std::unique_lock<std::mutex>& lock, const CallState& single) {
    wait_until(lock, os::never, DoorbellPage::waiter, [&] { return single.is_done(); });
}

bool PoolEngine::wait(CallState& call, os::Deadline deadline, const std::atomic<bool>* stopped) {
    if (call.is_done()) return true;
    require_ours();
    std::unique_lock lock(mutex_);
    const bool only_asks = deadline <= os::Clock::now();
    if (only_asks) pump();  // who does gets what is there, though nobody was told of it
    wait_until(lock, deadline, call.is_map() ? DoorbellPage::waiter_low : DoorbellPage::waiter,
               [&] { return call.is_done() || (stopped != nullptr && stopped->load()); });
    if (call.is_done()) return true;
    if (!only_asks) throw_if_interrupted();
    return false;
}

void PoolEngine::interrupt_waits() {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
    if (waiter_present_) doorbell_.wake_waiter();
}

bool PoolEngine::take_arrived(CallState& call, std::vector<StreamPart>& taken, os::Deadline deadline) {
    require_ours();
    std::unique_lock lock(mutex_);
    std::vector<StreamPart>& arrived = call.details()->arrived;
    const auto is_there = [&] { return !arrived.empty() || call.is_done(); };
    const bool only_asks = deadline <= os::Clock::now();
    if (!is_there() && !wait_until(lock, deadline, DoorbellPage::waiter, is_there)) {
        if (!only_asks) throw_if_interrupted();
        return false;
    }
    taken.swap(arrived);
    return true;
}

// Looks, and then sleeps, until a worker has sent something, a worker has died, somebody wakes us, or the deadline.
// Who waits for a map is woken when a worker runs low, not for every message: in between, the results can wait.
void PoolEngine::look_until_news(std::unique_lock<std::mutex>& lock, os::Deadline deadline, DoorbellPage::Mode mode) {
    const std::uint32_t ticket = doorbell_.waiter_ticket();
    // Looking costs a processor, so it is worth it only while the workers leave one free.
    if (busy_workers() < processors_ && spin_for_news(lock, ticket, deadline)) return;
    doorbell_.announce(mode);
    service_armed_ = DoorbellPage::nobody;
    if (has_news()) return;
    waiter_asleep_ = true;
    lock.unlock();
    doorbell_.sleep_as_waiter(ticket, std::min(next_look(deadline), os::Clock::now() + longest_sleep));
    lock.lock();
    waiter_asleep_ = false;
}

// Looks for a while, without the mutex. Nobody is told of it, so no worker spends a system call on waking us.
bool PoolEngine::spin_for_news(std::unique_lock<std::mutex>& lock, std::uint32_t ticket, os::Deadline deadline) {
    looked_at_.clear();
    for (const auto& worker : workers_)
        if (!worker->is_broken) looked_at_.push_back(&worker->child->results().next_word());
    graves_.reserve(workers_.size());
    has_changed_ = false;
    is_spinning_ = true;  // the memory looked at stays mapped
    const bool is_patient = patience_.wants_to_look();
    lock.unlock();
    const auto found = [&] {
        for (const RecordWord* word : looked_at_)
            if (word->load(std::memory_order_relaxed) != 0) return true;
        return doorbell_.waiter_ticket() != ticket;
    };
    bool is_found = false;
    // A small task is answered before it is worth asking for the time, or sparing the processor: a pause is as long as
    // its result takes from one processor to the other.
    for (int i = 0; i < eager_looks && !is_found; ++i) is_found = found();
    if (!is_found && is_patient) {
        const os::Deadline give_up = std::min(deadline, os::Clock::now() + spin_time);
        while (!is_found && os::Clock::now() < give_up) {
            for (int i = 0; i < 64 && !is_found; ++i) {
                os::relax_cpu();
                is_found = found();
            }
        }
    }
    lock.lock();
    is_spinning_ = false;
    if (is_found || is_patient) patience_.learn(is_found);
    graves_.clear();
    return is_found || has_changed_;
}

std::size_t PoolEngine::busy_workers() const noexcept {
    return static_cast<std::size_t>(
        std::ranges::count_if(workers_, [](const auto& worker) { return !worker->in_flight.empty(); }));
}

// The waiter leaves: the next one takes its place, or the service thread is told what to wake up for.
void PoolEngine::hand_over() {
    if (waiter_present_) return;
    if (candidates_ != 0) {
        changed_.notify_all();
        return;
    }
    brief_service();
}

// Makes sure that the service thread, while it sleeps, is woken by what concerns it. Whoever has changed something calls
// this last.
void PoolEngine::brief_service() {
    for (;;) {
        const DoorbellPage::Mode mode = service_mode();
        if (waiter_present_ || !service_asleep_ || service_armed_ >= mode) return;
        service_armed_ = mode;
        doorbell_.announce(mode);
        // What happened before the announcement was told to nobody. Waking another thread for it would cost more.
        if (!has_news()) return;
        pump();
    }
}

// What the service thread must be told of while nobody waits for results.
DoorbellPage::Mode PoolEngine::service_mode() const noexcept {
    if (state_ == State::closing || interest_ != 0 || has_late_ ||
        block_signal_->leaving.load(std::memory_order_relaxed) != 0)
        return DoorbellPage::service_any;
    if (!pending_.empty()) return DoorbellPage::service_low;
    return outstanding_ != 0 ? DoorbellPage::service_stuck : DoorbellPage::nobody;
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
        const os::Clock::time_point now = os::Clock::now();
        wants_workers_ = false;
        replace_missing(lock);
        if (imbalance_) look_at_imbalance();
        send_what_is_late();
        detach_unused_blocks();
        bool sleep = true;
        if (!waiter_present_) {
            pump();
            service_armed_ = service_mode();
            doorbell_.announce(service_armed_);
            sleep = service_armed_ == DoorbellPage::nobody || !has_news();
        } else if (has_exits_.load(std::memory_order_acquire)) {
            handle_exits();
            sleep = false;
        }
        if (!sleep || service_stop_) continue;
        os::Deadline deadline = os::never;
        if (outstanding_ != 0) deadline = now + longest_sleep;
        if (imbalance_) deadline = now + imbalance_interval;
        deadline = std::min({deadline, check_timeouts(), check_idle(), check_late()});
        service_deadline_ = deadline;
        service_asleep_ = true;
        lock.unlock();
        doorbell_.sleep_as_service(ticket, deadline);
        lock.lock();
        service_asleep_ = false;
        service_armed_ = DoorbellPage::nobody;
        rest(lock, ticket);
    }
}

// Small tasks that come and go by the thousand would wake this thread for every message. Workers wake it again only
// after a rest; what cannot wait for that changes the ticket.
void PoolEngine::rest(std::unique_lock<std::mutex>& lock, std::uint32_t ticket) {
    if (doorbell_.service_ticket() == ticket || has_exits_.load(std::memory_order_acquire) || service_stop_) return;
    const os::Clock::time_point now = os::Clock::now();
    const bool is_busy = now - last_woken_ < 10 * rest_time;
    last_woken_ = now;
    if (!is_busy || state_ != State::running) return;
    const std::uint32_t next = doorbell_.service_ticket();
    lock.unlock();
    doorbell_.sleep_as_service(next, now + rest_time);
    lock.lock();
}

void PoolEngine::await_room(CallState& call) {
    std::unique_lock lock(mutex_);
    const CallDetails& details = *call.details();
    const TaskStats& stats = stats_[&call.task()];
    const auto is_full = [&] {
        if (is_local() || state_ == State::terminated || state_ == State::broken || call.is_done()) return false;
        if (details.waiting_segments >= window_segments * std::max<std::size_t>(workers_.size(), 1)) return true;
        if (details.waiting < window_items * std::max<std::size_t>(workers_.size(), 1)) return false;
        return stats.nanoseconds_per_item == 0 ||
               stats.nanoseconds_per_item * static_cast<double>(details.waiting) > window_nanoseconds;
    };
    // Ctrl+C ends that as well; it is thrown by the wait for the results.
    if (is_full()) wait_until(lock, os::never, DoorbellPage::waiter_low, [&] { return !is_full(); });
}

bool PoolEngine::is_crowded(CallState& call) {
    const std::lock_guard lock(mutex_);
    return !is_local() && call.details()->waiting_segments >= window_segments * size_;
}

}  // namespace multiproc::detail
