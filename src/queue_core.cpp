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
#include "die_here.hpp"
#include "interrupt.hpp"
#include "queue_client.hpp"
#include "queue_open.hpp"

namespace multiproc::detail {
namespace {

constexpr std::int64_t most_items = 1 << 20;     // of a queue with a limit
constexpr std::uint32_t first_ring = 32 * 1024;  // bytes, of one without; each ring that follows has twice as many...
constexpr std::uint32_t largest_ring = 8 << 20;  // ... up to this
constexpr std::int64_t most_large_slots = 4096;
constexpr std::size_t large_slot = QueueMessage::most_inline, small_slot = 104;  // bytes in slots for any items
// How often one looks for news before it is worth a system call.
constexpr int looks = 500;
// For how long `try_put` waits for a slot whose item was taken, but whose taker was interrupted in the middle of that.
constexpr auto longest_taking = std::chrono::milliseconds(20);

auto is_gone(const Arena& arena, std::uint64_t sender) {
    return [&arena, sender] { return sender != 0 && !arena.exists(Arena::Ref::unpack(sender)); };
}

os::Deadline deadline_of(const Patience& patience) {
    if (!patience.block) return os::Clock::time_point::min();
    return deadline_or_never(patience.timeout);
}

// One side of a queue: who waits there, and how.
struct Side {
    WaitSet& waiters;
    Looking& looking;
};

// Calls `attempt` until it says that it is done; meanwhile looks, then sleeps while `is_hopeless`. False at the deadline,
// and once `is_over` was true before an attempt. `has_more`: whether there is more of what was waited for.
template <class Attempt, class IsHopeless, class IsOver, class HasMore>
bool repeat(Side side, QueueClient::Use& use, const Patience& patience, Attempt attempt, IsHopeless is_hopeless,
            IsOver is_over, HasMore has_more) {
    if (attempt(false)) return true;
    const os::Deadline deadline = deadline_of(patience);
    if (patience.block) {
        const int pause = side.looking.first_pause();
        for (int i = 0; i < pause; ++i) os::relax_cpu();
        for (int i = 0; i < looks; ++i) {
            if (attempt(false)) {
                if (pause != 0) side.looking.learn(pause, has_more());
                return true;
            }
            os::relax_cpu();
        }
    }
    bool is_done = false;
    bool was_woken = false;
    for (;;) {
        const bool is_last = is_over();
        is_done = attempt(true);
        if (is_done || is_last || multiproc::is_over(deadline)) break;
        use.pause();
        was_woken = side.waiters.wait(deadline, is_hopeless) || was_woken;
        side.waiters.looks();
        use.resume();
    }
    // A wake-up is for whoever takes what there is, also if it came before its turn and found nothing then: who was woken
    // hands it on as long as there is more. Those who never slept need not look who does.
    if (was_woken && !is_hopeless()) side.waiters.wake_next();
    if (!is_done && patience.block) throw_if_interrupted();
    return is_done;
}

// `fill` puts the item into the slot.
template <class Fill>
bool put_with(const Opened& opened, std::size_t size, const Patience& patience, Fill fill) {
    QueueState& queue = opened.queue;
    QueueClient& client = opened.client;
    Arena& arena = client.arena;
    QueueClient::Use use(client);
    bool is_being_taken = false;
    const auto attempt = [&](bool looks_closely) {
        for (;;) {
            QueueRing& ring = client.put_ring();
            // There may be room here again, but what others have put into the next one came before this item.
            if (queue.max_size == 0 && ring.next.load(std::memory_order_seq_cst) != 0) {
                client.next_put_ring(ring);
                continue;
            }
            const QueueRing::Claim claim = ring.claim(client.self);
            if (claim.result == QueueRing::Result::closed) {
                client.next_put_ring(ring);
                continue;
            }
            if (claim.result == QueueRing::Result::no) {
                if (looks_closely && ring.clear_away(claim, abandon_into(arena))) continue;
                is_being_taken = QueueRing::is_being_taken(claim);
                if (queue.max_size != 0) return false;
                if (ring.next.load(std::memory_order_acquire) == 0) {
                    const std::uint32_t capacity =
                        std::min(ring.capacity() * 2, std::bit_floor(largest_ring / queue.stride));
                    const Arena::Ref more = make_ring(arena, capacity, capacity, queue.stride);
                    client.append(more, ring);
                }
                client.next_put_ring(ring);
                continue;
            }
            claim.slot->size = static_cast<std::uint32_t>(size);
            fill(*claim.slot);
            die_here(DeathPoint::item_written);
            ring.publish(claim);
            queue.getters.wake_next();
            return true;
        }
    };
    const Side side{queue.putters, client.for_room};
    const auto is_hopeless = [&] { return client.has_no_room(); };
    const auto has_more = [&] { return client.has_room_for_several(); };
    if (repeat(
            side, use, patience, attempt, is_hopeless, [] { return false; }, has_more))
        return true;
    // There are fewer items than there may be, only the slot is not free yet.
    return !patience.block && is_being_taken &&
           repeat(
               side, use, {true, longest_taking}, attempt, is_hopeless, [&] { return !is_being_taken; }, has_more);
}

// What a ring that has a next must come to before it is closed, see QueueClient.
bool may_close(QueueClient& client, QueueRing& ring, bool looks_closely) {
    if (looks_closely && client.state().counts != 0) ring.clear_all_away(abandon_into(client.arena));
    return client.may_leave(ring);
}

// `take` gets the item out of the slot.
template <class Take>
bool get_with(const Opened& opened, const Patience& patience, std::uint64_t sender, Take take) {
    QueueState& queue = opened.queue;
    QueueClient& client = opened.client;
    QueueClient::Use use(client);
    const auto attempt = [&](bool looks_closely) {
        for (;;) {
            QueueRing& ring = client.get_ring();
            const QueueRing::Claim claim = ring.take(client.self);
            switch (claim.result) {
                case QueueRing::Result::closed: client.next_get_ring(ring); continue;
                case QueueRing::Result::busy:
                    if (looks_closely && ring.clear_away(claim, abandon_into(client.arena))) continue;
                    return false;
                case QueueRing::Result::no:
                    if (ring.next.load(std::memory_order_acquire) == 0) return false;
                    if (!may_close(client, ring, looks_closely)) return false;
                    if (ring.close(claim)) client.next_get_ring(ring);
                    continue;
                case QueueRing::Result::done: break;
            }
            const auto finish = [&] {
                // Before the slot is free, so that the item is always seen here or there. If this process is killed in
                // between, it has got the item.
                die_here(DeathPoint::item_read);
                if (queue.counts != 0) queue.unfinished.fetch_add(1, std::memory_order_seq_cst);
                die_here(DeathPoint::item_counted);
                ring.free(claim);
                if (queue.max_size != 0) queue.putters.wake_next();
                // Others may wait for this very slot, where the ring ends. Not before the slot is seen to be free: who
                // found it taken after a next ring was there has not looked in vain then.
                if (ring.next.load(std::memory_order_seq_cst) != 0) queue.getters.wake(1);
            };
            try {
                take(*claim.slot);
            } catch (...) {
                finish();
                throw;
            }
            finish();
            return true;
        }
    };
    const auto is_over = is_gone(client.arena, sender);
    // Who lets go of the other end wakes those who are marked by then; the others see it in their look before they sleep.
    const auto is_hopeless = [&] { return client.has_no_news() && !is_over(); };
    return repeat({queue.getters, client.for_items}, use, patience, attempt, is_hopeless, is_over,
                  [&] { return client.has_items(); });
}

}  // namespace

std::size_t QueueCore::state_size() noexcept { return sizeof(QueueState); }

ObjectRef QueueCore::make(std::int64_t max_size, std::size_t inline_bytes, bool counts) {
    if (max_size > most_items) {
        throw std::invalid_argument("multiproc: a queue cannot be limited to " + std::to_string(max_size) +
                                    " items; give at most 1048576, or 0 for no limit");
    }
    ObjectRef object = make_object(kind, sizeof(QueueState));
    QueueState& queue = queue_in(state_of(*object));
    queue.max_size = static_cast<std::uint32_t>(std::max<std::int64_t>(max_size, 0));
    queue.counts = counts ? 1 : 0;
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
    die_here(DeathPoint::first_ring_named);
    arena.mark_owned(ring);
    arena.release(ring);
    return object;
}

bool QueueCore::put_message(const OutputBuffer& message, const Patience& patience) const {
    const Opened opened = open_queue(object());
    if (message.size() > opened.queue.stride - sizeof(QueueSlot) || !message.attachments().empty()) {
        NewParcel parcel(opened.client.arena, message);
        return put_with(opened, message.size(), patience, [&](QueueSlot& slot) { parcel.hand_over(slot); });
    }
    return put_with(opened, message.size(), patience,
                    [&](QueueSlot& slot) { std::memcpy(slot.payload(), message.bytes().data(), message.size()); });
}

bool QueueCore::put_bytes(std::span<const std::byte> head, std::span<const std::byte> body,
                          const Patience& patience) const {
    const Opened opened = open_queue(object());
    const std::size_t size = head.size() + body.size();
    if (size > opened.queue.stride - sizeof(QueueSlot)) {
        QueueWriter writer;
        writer.write(head.data(), head.size());
        writer.write(body.data(), body.size());
        return put_message(writer, patience);
    }
    return put_with(opened, size, patience, [&](QueueSlot& slot) {
        std::memcpy(slot.payload(), head.data(), head.size());
        if (!body.empty()) std::memcpy(slot.payload() + head.size(), body.data(), body.size());
    });
}

// The parcel is this process's, no more the slot's.
void QueueMessage::take_parcel(QueueSlot& slot, Arena& arena) noexcept {
    const std::uint64_t name = slot.parcel.load(std::memory_order_acquire);
    // Nobody else in this process holds it: its producer has let go of it before it was there to be taken.
    const Arena::Ref ref = Arena::Ref::unpack(name);
    auto& parcel = *reinterpret_cast<Parcel*>(arena.payload(ref));
    data_ = parcel.bytes();
    size_ = parcel.size_here();
    if (arena.hold(ref)) {
        parcel_ = name;
    } else {  // no room to note that: the bytes are copied, and what they refer to may be gone then
        large_.reset(new (std::nothrow) std::byte[size_]);
        if (large_ == nullptr) size_ = 0;
        if (size_ != 0) std::memcpy(large_.get(), data_, size_);
        data_ = large_.get();
    }
    die_here(DeathPoint::parcel_held);
    arena.release_owned(ref);
    die_here(DeathPoint::parcel_disowned);
    slot.parcel.store(0, std::memory_order_relaxed);
}

bool QueueCore::get_message(QueueMessage& message, const Patience& patience, std::uint64_t sender) const {
    const Opened opened = open_queue(object());
    const bool is_done = get_with(opened, patience, sender, [&](QueueSlot& slot) {
        if (slot.parcel.load(std::memory_order_acquire) != 0) return message.take_parcel(slot, opened.client.arena);
        message.size_ = slot.size;
        std::memcpy(message.small_, slot.payload(), message.size_);
    });
    if (message.parcel_ != 0) message.take_in_blocks();
    return is_done;
}

bool QueueCore::read_message(Read read, void* context, const Patience& patience, std::uint64_t sender) const {
    const Opened opened = open_queue(object());
    QueueMessage parcel;  // what is in one may be large: that is read when the slot is free
    const bool is_done = get_with(opened, patience, sender, [&](QueueSlot& slot) {
        if (slot.parcel.load(std::memory_order_acquire) != 0) return parcel.take_parcel(slot, opened.client.arena);
        read(context, {slot.payload(), slot.size});
    });
    if (parcel.parcel_ != 0) parcel.take_in_blocks();
    if (is_done && parcel.size_ != 0) read(context, {parcel.data_, parcel.size_});
    return is_done;
}

bool QueueCore::await_message(const Patience& patience, std::uint64_t sender) const {
    const Opened opened = open_queue(object());
    QueueClient& client = opened.client;
    QueueClient::Use use(client);
    const auto has_message = [&](bool looks_closely) {
        for (;;) {
            QueueRing& ring = client.get_ring();
            const QueueRing::Claim seen = ring.look();
            if (seen.result == QueueRing::Result::done) return true;
            if (seen.result == QueueRing::Result::busy) {
                if (looks_closely && ring.clear_away(seen, abandon_into(client.arena))) continue;
                return false;
            }
            if (seen.result == QueueRing::Result::no) {
                if (ring.next.load(std::memory_order_acquire) == 0) return false;
                if (!may_close(client, ring, looks_closely)) return false;
                if (!ring.close(seen)) continue;
            }
            client.next_get_ring(ring);
        }
    };
    // The message stays, so if this thread was woken for it, the wake-up goes on to somebody who takes it.
    const auto is_over = is_gone(client.arena, sender);
    return repeat(
        {opened.queue.getters, client.for_items}, use, patience, has_message,
        [&] { return client.has_no_news() && !is_over(); }, is_over, [] { return false; });
}

WaitSet& QueueCore::getters() const { return open_queue(object()).queue.getters; }

std::uint64_t QueueCore::size() const {
    const Opened opened = open_queue(object());
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

void QueueCore::close_here() const { open_queue(object()).client.is_closed.store(true, std::memory_order_relaxed); }

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
