#include <multiproc/detail/queue_core.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>

#include <multiproc/errors.hpp>
#include <multiproc/queue.hpp>

#include "deadline.hpp"
#include "queue_client.hpp"
#include "queue_state.hpp"
#include "shared_object.hpp"

namespace multiproc::detail {
namespace {

constexpr std::int64_t most_items = 1 << 20;     // of a queue with a limit
constexpr std::uint32_t first_ring = 32 * 1024;  // bytes, of one without; each ring that follows has twice as many...
constexpr std::uint32_t largest_ring = 8 << 20;  // ... up to this
constexpr std::int64_t most_large_slots = 4096;
constexpr std::size_t large_slot = QueueMessage::most_inline, small_slot = 104;  // bytes in slots for any items
// How often one looks for news before it is worth a system call.
constexpr int looks = 500;

void count_down(QueueState& queue) noexcept {
    if (queue.unfinished.fetch_sub(1, std::memory_order_seq_cst) == 1) queue.joiners.wake_all();
}

// What a dead process was putting in or taking out.
auto abandon_into(QueueState& queue, Arena& arena) {
    return [&queue, &arena](QueueSlot& slot) {
        if (const std::uint64_t parcel = slot.parcel.load(std::memory_order_acquire); parcel != 0)
            arena.release_owned(Arena::Ref::unpack(parcel));
        if (slot.counted.exchange(0) != 0) count_down(queue);
    };
}

QueueClient& client_of(SharedObject& object) {
    return static_cast<QueueClient&>(
        object.local_part([](Arena& arena, std::byte* state) -> std::unique_ptr<LocalPart> {
            return std::make_unique<QueueClient>(arena, queue_in(state));
        }));
}

// The client of an object that this process has itself, not as a copy of another.
struct Opened {
    QueueState& queue;
    QueueClient& client;
};
Opened open(const ObjectRef& given, std::byte* state) {
    QueueClient& client =
        client_of(given->is_ours() ? *given : *ObjectRegistry::get().adopt_copy(given->ref()));  // which stays
    if (client.is_closed.load(std::memory_order_relaxed)) throw ClosedError("multiproc: this queue is closed");
    return {queue_in(state), client};
}

auto is_gone(const Arena& arena, std::uint64_t sender) {
    return [&arena, sender] { return sender != 0 && !arena.exists(Arena::Ref::unpack(sender)); };
}

os::Deadline deadline_of(const Patience& patience) {
    if (!patience.block) return os::Clock::time_point::min();
    return deadline_or_never(patience.timeout);
}

// Calls `attempt` until it says that it is done; meanwhile looks, then sleeps while `is_hopeless`. False at the deadline,
// and once `is_over` was true before an attempt.
template <class Attempt, class IsHopeless, class IsOver>
bool repeat(WaitSet& waiters, QueueClient::Use& use, const Patience& patience, Attempt attempt, IsHopeless is_hopeless,
            IsOver is_over) {
    if (attempt(false)) return true;
    const os::Deadline deadline = deadline_of(patience);
    if (patience.block) {
        for (int i = 0; i < looks; ++i) {
            if (!is_hopeless() && attempt(false)) return true;
            os::relax_cpu();
        }
    }
    bool is_done = false;
    bool was_woken = false;
    for (;;) {
        const bool is_last = is_over();
        is_done = attempt(true);
        if (is_done || is_last || deadline <= os::Clock::now()) break;
        use.pause();
        was_woken = waiters.wait(deadline, is_hopeless) || was_woken;
        use.resume();
    }
    // A wake-up is for whoever takes what there is, also if it came before its turn and found nothing then: who was woken
    // hands it on as long as there is more. Those who never slept need not look who does.
    if (was_woken && !is_hopeless()) waiters.wake(1);
    return is_done;
}

}  // namespace

std::size_t QueueCore::state_size() noexcept { return sizeof(QueueState); }

ObjectRef QueueCore::make(std::int64_t max_size, std::size_t inline_bytes) {
    if (max_size > most_items) {
        throw std::invalid_argument("multiproc: a queue cannot be limited to " + std::to_string(max_size) +
                                    " items; give at most 1048576, or 0 for no limit");
    }
    ObjectRef object = make_object(kind, sizeof(QueueState));
    QueueState& queue = queue_in(state_of(*object));
    queue.max_size = static_cast<std::uint32_t>(std::max<std::int64_t>(max_size, 0));
    // Slots for items of any size are large, unless there are very many.
    const bool is_long = max_size > most_large_slots;
    const std::size_t room = inline_bytes != 0 ? inline_bytes : is_long ? small_slot : large_slot;
    queue.stride = static_cast<std::uint32_t>((sizeof(QueueSlot) + room + 31) / 32 * 32);
    const std::uint32_t capacity =
        queue.max_size != 0 ? std::bit_ceil(queue.max_size) : std::bit_floor(first_ring / queue.stride);
    Arena& arena = Runtime::get().arena();
    const Arena::Ref ring = make_ring(arena, capacity, queue.max_size != 0 ? queue.max_size : capacity, queue.stride);
    queue.first.store(ring.pack());
    queue.last.store(ring.pack());
    arena.mark_owned(ring);
    arena.release(ring);
    return object;
}

bool QueueCore::put_message(const OutputBuffer& message, const Patience& patience, bool counts) const {
    const Opened opened = open(object(), state());
    QueueState& queue = opened.queue;
    QueueClient& client = opened.client;
    Arena& arena = client.arena;
    std::optional<NewParcel> parcel;
    const std::size_t room = queue.stride - sizeof(QueueSlot);
    if (message.size() > room || !message.attachments().empty()) parcel.emplace(arena, message);

    QueueClient::Use use(client);
    const auto attempt = [&](bool looks_closely) {
        for (;;) {
            QueueRing& ring = client.put_ring();
            QueueRing::Claim claim = ring.claim(client.self);
            if (claim.result == QueueRing::Result::closed) {
                client.next_put_ring(ring);
                continue;
            }
            if (claim.result == QueueRing::Result::no) {
                if (looks_closely && ring.clear_away(claim, abandon_into(queue, arena))) continue;
                if (queue.max_size != 0) return false;
                if (ring.next.load(std::memory_order_acquire) == 0) {
                    const std::uint32_t capacity =
                        std::min(ring.capacity() * 2, std::bit_floor(largest_ring / queue.stride));
                    const Arena::Ref more = make_ring(arena, capacity, capacity, queue.stride);
                    client.adopt(more);
                    client.follow(more, ring);
                    arena.mark_owned(more);
                    std::uint64_t none = 0;
                    if (!ring.next.compare_exchange_strong(none, more.pack())) arena.release_owned(more);
                }
                client.next_put_ring(ring);
                continue;
            }
            QueueSlot& slot = *claim.slot;
            slot.size = static_cast<std::uint32_t>(message.size());
            if (parcel) {
                parcel->hand_over(slot);
            } else {
                std::memcpy(slot.payload(), message.bytes().data(), message.size());
            }
            if (counts) {
                queue.unfinished.fetch_add(1, std::memory_order_seq_cst);
                slot.counted.store(1, std::memory_order_release);
            }
            ring.publish(claim);
            queue.getters.wake(1);
            return true;
        }
    };
    return repeat(
        queue.putters, use, patience, attempt, [&] { return client.has_no_room(); }, [] { return false; });
}

bool QueueCore::get_message(QueueMessage& message, const Patience& patience, std::uint64_t sender) const {
    const Opened opened = open(object(), state());
    QueueState& queue = opened.queue;
    QueueClient& client = opened.client;
    Arena& arena = client.arena;
    QueueClient::Use use(client);
    bool refers = false;
    const auto attempt = [&](bool looks_closely) {
        for (;;) {
            QueueRing& ring = client.get_ring();
            const QueueRing::Claim claim = ring.take(client.self);
            switch (claim.result) {
                case QueueRing::Result::closed: client.next_get_ring(ring); continue;
                case QueueRing::Result::busy:
                    if (looks_closely && ring.clear_away(claim, abandon_into(queue, arena))) continue;
                    return false;
                case QueueRing::Result::no:
                    if (ring.next.load(std::memory_order_acquire) == 0) return false;
                    if (ring.close(claim)) client.next_get_ring(ring);
                    continue;
                case QueueRing::Result::done: break;
            }
            QueueSlot& slot = *claim.slot;
            if (const std::uint64_t name = slot.parcel.load(std::memory_order_acquire); name != 0) {
                // Nobody else in this process holds it: its producer has let go of it before it was there to be taken.
                const Arena::Ref ref = Arena::Ref::unpack(name);
                auto& parcel = *reinterpret_cast<Parcel*>(arena.payload(ref));
                message.data_ = parcel.bytes();
                message.size_ = parcel.size_here();
                refers = parcel.references != 0;
                if (arena.hold(ref)) {
                    message.parcel_ = name;
                } else {  // no room to note that: the bytes are copied, and what they refer to may be gone then
                    message.large_.reset(new (std::nothrow) std::byte[message.size_]);
                    if (message.large_ == nullptr) message.size_ = 0;
                    if (message.size_ != 0) std::memcpy(message.large_.get(), message.data_, message.size_);
                    message.data_ = message.large_.get();
                }
                arena.release_owned(ref);
                slot.parcel.store(0, std::memory_order_relaxed);
            } else {
                message.size_ = slot.size;
                std::memcpy(message.small_, slot.payload(), message.size_);
            }
            slot.counted.store(0, std::memory_order_relaxed);
            ring.free(claim);
            if (queue.max_size != 0) queue.putters.wake(1);
            // Others may wait for this very slot, where the ring ends.
            if (ring.next.load(std::memory_order_relaxed) != 0) queue.getters.wake(1);
            return true;
        }
    };
    const bool has_come = repeat(
        queue.getters, use, patience, attempt, [&] { return client.has_no_news(); }, is_gone(arena, sender));
    if (has_come && refers && message.parcel_ != 0) message.take_in_blocks();
    return has_come;
}

bool QueueCore::await_message(const Patience& patience, std::uint64_t sender) const {
    const Opened opened = open(object(), state());
    QueueClient& client = opened.client;
    QueueClient::Use use(client);
    const auto has_message = [&](bool looks_closely) {
        for (;;) {
            QueueRing& ring = client.get_ring();
            const QueueRing::Claim seen = ring.look();
            if (seen.result == QueueRing::Result::done) return true;
            if (seen.result == QueueRing::Result::busy) {
                if (looks_closely && ring.clear_away(seen, abandon_into(opened.queue, client.arena))) continue;
                return false;
            }
            if (seen.result == QueueRing::Result::no) {
                if (ring.next.load(std::memory_order_acquire) == 0) return false;
                if (!ring.close(seen)) continue;
            }
            client.next_get_ring(ring);
        }
    };
    const bool has_come = repeat(
        opened.queue.getters, use, patience, has_message, [&] { return client.has_no_news(); },
        is_gone(client.arena, sender));
    // The wake-up was for somebody who takes it.
    if (has_come) opened.queue.getters.wake(1);
    return has_come;
}

std::uint64_t QueueCore::size() const {
    const Opened opened = open(object(), state());
    QueueClient& client = opened.client;
    for (;;) {
        const QueueClient::Use use(client);
        QueueRing& first = client.get_ring();
        if (first.look().result == QueueRing::Result::closed) {
            client.next_get_ring(first);
            continue;
        }
        std::uint64_t items = first.size();
        std::uint64_t next = first.next.load(std::memory_order_acquire);
        while (next != 0) {
            QueueRing* const ring = client.look_at(Arena::Ref::unpack(next));
            if (ring == nullptr) break;  // all before it are gone, too
            items += ring->size();
            next = ring->next.load(std::memory_order_acquire);
        }
        if (next == 0) return items;
        client.forget_get_ring(first);
    }
}

std::uint64_t QueueCore::max_size() const { return queue_in(state()).max_size; }

void QueueCore::close_here() const { open(object(), state()).client.is_closed.store(true, std::memory_order_relaxed); }

bool QueueCore::done() const {
    QueueState& queue = open(object(), state()).queue;
    std::uint64_t seen = queue.unfinished.load(std::memory_order_relaxed);
    do {
        if (seen == 0) return false;
    } while (!queue.unfinished.compare_exchange_weak(seen, seen - 1, std::memory_order_seq_cst));
    if (seen == 1) queue.joiners.wake_all();
    return true;
}

bool QueueCore::await_done(std::optional<Timeout> timeout) const {
    const Opened opened = open(object(), state());
    QueueState& queue = opened.queue;
    QueueClient& client = opened.client;
    const os::Deadline deadline = deadline_or_never(timeout);
    const auto is_open = [&] { return queue.unfinished.load(std::memory_order_seq_cst) != 0; };
    while (is_open()) {
        {
            // What was lost with a process that died while it took it is done with.
            const QueueClient::Use use(client);
            client.get_ring().clear_all_away(abandon_into(queue, client.arena));
        }
        if (!is_open()) break;
        if (deadline <= os::Clock::now()) return false;
        queue.joiners.wait(deadline, is_open);
    }
    return true;
}

void throw_queue_empty(bool has_waited) {
    throw queue::Empty(has_waited ? "multiproc: nothing came into the queue in time" : "multiproc: the queue is empty");
}
void throw_queue_full(bool has_waited) {
    throw queue::Full(has_waited ? "multiproc: no room came in the queue in time" : "multiproc: the queue is full");
}

}  // namespace multiproc::detail

namespace multiproc::queue {
Empty::~Empty() = default;
Full::~Full() = default;
}  // namespace multiproc::queue
