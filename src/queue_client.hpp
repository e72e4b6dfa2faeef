// What one process knows of a queue.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "queue_state.hpp"
#include "shared_object.hpp"

namespace multiproc::detail {

// What this process knows of a queue: the rings it uses, each of which it holds, and whether it has closed the queue.
class QueueClient final : public LocalPart {
public:
    QueueClient(Arena& given, QueueState& state) noexcept : self(QueueRing::self()), arena(given), state_(state) {}
    ~QueueClient() override {
        for (const Held& held : held_) arena.release(held.ref);
    }

    // A thread that uses rings: as long as there is one, none of them is let go of.
    class Use {
    public:
        explicit Use(QueueClient& client) noexcept : client_(client), counts_(client.state_.max_size == 0) {
            if (counts_) client_.users_.fetch_add(1);
        }
        ~Use() {
            if (counts_ && client_.users_.fetch_sub(1) == 1 && client_.has_old_.load(std::memory_order_relaxed))
                client_.let_go();
        }
        Use(const Use&) = delete;
        Use& operator=(const Use&) = delete;

    private:
        QueueClient& client_;
        const bool counts_;  // where there is one ring only, it stays
    };

    QueueRing& put_ring() { return ring_of(put_, state_.last); }
    QueueRing& get_ring() { return ring_of(get_, state_.first); }
    // Whether there is no room, or nothing to get, as far as this process knows.
    bool has_no_room() const noexcept {
        const QueueRing* const ring = put_.load(std::memory_order_acquire);
        return ring != nullptr && !ring->has_room();
    }
    bool has_no_news() const noexcept {
        const QueueRing* const ring = get_.load(std::memory_order_acquire);
        return ring != nullptr && !ring->has_news();
    }
    // Null if it is gone.
    QueueRing* look_at(Arena::Ref ref) {
        has_old_.store(true, std::memory_order_relaxed);
        return open(ref);
    }
    // Those behind the present one, which has a next.
    void next_put_ring(QueueRing& now) {
        const std::uint64_t here = name_of(now), next = now.next.load(std::memory_order_acquire);
        std::uint64_t expected = here;
        state_.last.compare_exchange_strong(expected, next);
        open_behind(put_, now, next);
    }
    // Whoever makes the next one the first lets go of this one, for the queue.
    void next_get_ring(QueueRing& now) {
        const std::uint64_t here = name_of(now), next = now.next.load(std::memory_order_acquire);
        std::uint64_t expected = here;
        QueueRing* const ring = open(Arena::Ref::unpack(next));
        std::uint64_t last = here;
        state_.last.compare_exchange_strong(last, next);  // so that it never names a ring that is gone
        if (state_.first.compare_exchange_strong(expected, next)) arena.release_owned(Arena::Ref::unpack(here));
        QueueRing* seen = &now;
        if (ring == nullptr) {
            get_.compare_exchange_strong(seen, nullptr);  // it was left behind meanwhile: begin again with the first
        } else {
            get_.compare_exchange_strong(seen, ring);
        }
        has_old_.store(true, std::memory_order_relaxed);
    }

    const std::uint32_t self;  // as it signs
    Arena& arena;
    std::atomic<bool> is_closed{false};

private:
    struct Held {
        Arena::Ref ref;
        QueueRing* ring;
    };
    QueueRing& ring_of(std::atomic<QueueRing*>& mine, const std::atomic<std::uint64_t>& shared) {
        for (QueueRing* ring = mine.load(std::memory_order_acquire);; ring = mine.load(std::memory_order_acquire)) {
            if (ring != nullptr) return *ring;
            const Arena::Ref ref = Arena::Ref::unpack(shared.load(std::memory_order_acquire));
            if (QueueRing* const fresh = open(ref)) mine.compare_exchange_strong(ring, fresh);
        }
    }
    void open_behind(std::atomic<QueueRing*>& mine, QueueRing& now, std::uint64_t next) {
        QueueRing* seen = &now;
        mine.compare_exchange_strong(seen, open(Arena::Ref::unpack(next)));
        has_old_.store(true, std::memory_order_relaxed);
    }
    // Null if there is no such ring any more.
    QueueRing* open(Arena::Ref ref) {
        const std::lock_guard lock(mutex_);
        const auto known = std::ranges::find(held_, ref, &Held::ref);
        if (known != held_.end()) return known->ring;
        if (!arena.hold(ref)) return nullptr;
        held_.push_back({ref, reinterpret_cast<QueueRing*>(arena.payload(ref))});
        return held_.back().ring;
    }
    std::uint64_t name_of(const QueueRing& ring) {
        const std::lock_guard lock(mutex_);
        return std::ranges::find(held_, &ring, &Held::ring)->ref.pack();
    }
    // No thread uses a ring at the moment. One that comes now finds the present ones, which stay.
    void let_go() noexcept {
        const std::lock_guard lock(mutex_);
        if (users_.load() != 0) return;
        std::erase_if(held_, [this](const Held& held) {
            if (held.ring == put_.load() || held.ring == get_.load()) return false;
            arena.release(held.ref);
            return true;
        });
        has_old_.store(false, std::memory_order_relaxed);
    }

    QueueState& state_;
    std::atomic<std::uint32_t> users_{0};
    std::atomic<bool> has_old_{false};
    std::atomic<QueueRing*> put_{nullptr}, get_{nullptr};
    std::mutex mutex_;
    std::vector<Held> held_;
};

}  // namespace multiproc::detail
