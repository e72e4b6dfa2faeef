// What one process knows of a queue.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <new>
#include <vector>

#include "die_here.hpp"
#include "queue_state.hpp"
#include "shared_object.hpp"

namespace multiproc::detail {

// How one waits on one side of a queue before one sleeps: learned from what came of it before.
//
// Who finds nothing and looks again at once meets the other side at each single item, and the cache lines of the two go to
// and fro for each. Who holds still for a moment finds several, and both run at their full speed. That pays while the
// other side goes on by itself, and is lost time where it waits for an answer; so it is tried now and then, and kept up
// as long as several items have come meanwhile.
class Looking {
public:
    // For how long to hold still first, in turns.
    int first_pause() noexcept {
        const int pause = pause_.load(std::memory_order_relaxed);
        if (pause != 0) return pause;
        const std::uint32_t count = count_.load(std::memory_order_relaxed) + 1;  // threads at once may lose one
        count_.store(count, std::memory_order_relaxed);
        return count % trial_interval == 0 ? trial_pause : 0;
    }
    // `several`: whether more than one item, or room for more than one, was there then.
    void learn(int pause, bool several) noexcept {
        const int next = several ? std::min(pause * 2, most_pause) : pause / 2;
        if (next != pause_.load(std::memory_order_relaxed))
            pause_.store(next < trial_pause ? 0 : next, std::memory_order_relaxed);
    }

private:
    static constexpr std::uint32_t trial_interval = 64;
    static constexpr int trial_pause = 4, most_pause = 256;

    std::atomic<int> pause_{0};
    std::atomic<std::uint32_t> count_{0};
};

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
        ~Use() { pause(); }
        Use(const Use&) = delete;
        Use& operator=(const Use&) = delete;

        // While the thread sleeps it uses none.
        void pause() noexcept {
            if (counts_ && client_.users_.fetch_sub(1) == 1 && client_.has_old_.load(std::memory_order_relaxed))
                client_.let_go();
        }
        void resume() noexcept {
            if (counts_) client_.users_.fetch_add(1);
        }

    private:
        QueueClient& client_;
        const bool counts_;  // where there is one ring only, it stays
    };

    QueueRing& put_ring() { return ring_of(put_, state_.last); }
    QueueRing& get_ring() { return ring_of(get_, state_.first); }
    // Whether there is no room, or nothing to get, as far as this process knows.
    bool has_no_room() noexcept {
        const Use use(*this);
        const QueueRing* const ring = put_.load(std::memory_order_acquire);
        return ring != nullptr && !ring->has_room();
    }
    bool has_no_news() noexcept {
        const Use use(*this);
        QueueRing* const ring = get_.load(std::memory_order_acquire);
        return ring != nullptr && (!ring->has_news() || !may_leave(*ring));
    }
    bool has_items() noexcept {
        const Use use(*this);
        const QueueRing* const ring = get_.load(std::memory_order_acquire);
        return ring != nullptr && ring->size() != 0;
    }
    bool has_room_for_several() noexcept {
        const Use use(*this);
        const QueueRing* const ring = put_.load(std::memory_order_acquire);
        return ring != nullptr && ring->has_room_for_several();
    }
    // Whether all that was taken out of a ring that has a next is noted as unfinished, where that counts: `join` knows of
    // no ring but the present one and those behind it.
    bool may_leave(QueueRing& ring) noexcept {
        return state_.counts == 0 || ring.look().result != QueueRing::Result::no || !ring.is_in_use();
    }
    // Null if it is gone.
    QueueRing* look_at(Arena::Ref ref) {
        has_old_.store(true, std::memory_order_relaxed);
        return open(ref);
    }
    // A new ring, which this process holds since it has made it, is the next of `last`, unless there is one already.
    void append(Arena::Ref ref, QueueRing& last) {
        auto& ring = *reinterpret_cast<QueueRing*>(arena.payload(ref));
        {
            const std::lock_guard lock(mutex_);
            held_.push_back({ref, &ring});
            has_old_.store(true, std::memory_order_relaxed);
        }
        // It is the queue's before it is in its place, as others may go on to it at once. Should this process be killed
        // in between, whoever sweeps after it finds what was to be done here, see `sweep_ring`.
        ring.previous.store(name_of(last), std::memory_order_relaxed);
        ring.linker.store(Runtime::get().self() + 1, std::memory_order_seq_cst);
        die_here(DeathPoint::ring_signed);
        arena.mark_owned(ref);
        std::uint64_t none = 0;
        if (!last.next.compare_exchange_strong(none, ref.pack(), std::memory_order_seq_cst)) arena.release_owned(ref);
        die_here(DeathPoint::ring_linked);
        ring.linker.store(0, std::memory_order_seq_cst);
    }
    // Begins anew with the first ring.
    void forget_get_ring(QueueRing& now) noexcept {
        QueueRing* seen = &now;
        get_.compare_exchange_strong(seen, nullptr);
    }
    // Those behind the present one, which has a next.
    void next_put_ring(QueueRing& now) {
        const std::uint64_t here = name_of(now), next = now.next.load(std::memory_order_acquire);
        std::uint64_t expected = here;
        state_.last.compare_exchange_strong(expected, next);
        die_here(DeathPoint::last_ring_advanced);
        open_behind(put_, now, next);
    }
    // Whoever has made the next one the first, or finds it so, lets go of this one for the queue: it can be done again.
    void next_get_ring(QueueRing& now) {
        const std::uint64_t here = name_of(now), next = now.next.load(std::memory_order_acquire);
        std::uint64_t expected = here;
        QueueRing* const ring = open(Arena::Ref::unpack(next));
        std::uint64_t last = here;
        state_.last.compare_exchange_strong(last, next);  // so that it never names a ring that is gone
        die_here(DeathPoint::last_ring_kept_up);
        state_.first.compare_exchange_strong(expected, next);
        die_here(DeathPoint::first_ring_advanced);
        if (ring != nullptr) let_go_of_previous(*ring);
        QueueRing* seen = &now;
        get_.compare_exchange_strong(seen, ring);  // null if it was left behind meanwhile: begin again with the first
        has_old_.store(true, std::memory_order_relaxed);
    }

    const std::uint32_t self;  // as it signs
    Arena& arena;
    std::atomic<bool> is_closed{false};
    Looking for_items, for_room;

    QueueState& state() const noexcept { return state_; }

private:
    struct Held {
        Arena::Ref ref;
        QueueRing* ring;
    };
    QueueRing& ring_of(std::atomic<QueueRing*>& mine, const std::atomic<std::uint64_t>& shared) {
        for (QueueRing* ring = mine.load(std::memory_order_acquire);; ring = mine.load(std::memory_order_acquire)) {
            if (ring != nullptr) return *ring;
            const Arena::Ref ref = Arena::Ref::unpack(shared.load(std::memory_order_acquire));
            if (QueueRing* const fresh = open(ref)) {
                if (&mine == &get_) let_go_of_previous(*fresh);
                mine.compare_exchange_strong(ring, fresh);
            } else if (arena.exists(ref)) {
                throw std::bad_alloc();  // no room to note that this process holds it
            }
        }
    }
    void let_go_of_previous(QueueRing& first) noexcept {
        const std::uint64_t previous = first.previous.load(std::memory_order_acquire);
        if (previous == 0) return;
        first.linker.store(0, std::memory_order_seq_cst);
        die_here(DeathPoint::ring_gone_on_to);
        arena.release_owned(Arena::Ref::unpack(previous));
        die_here(DeathPoint::previous_ring_released);
        first.previous.store(0, std::memory_order_release);
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
