#include <multiproc/detail/queue_core.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>

#include <multiproc/errors.hpp>
#include <multiproc/queue.hpp>

#include "deadline.hpp"
#include "queue_ring.hpp"
#include "shared_object.hpp"
#include "wait_set.hpp"

namespace multiproc::detail {
namespace {

constexpr std::int64_t most_items = 1 << 20;     // of a queue with a limit
constexpr std::uint32_t first_ring = 32 * 1024;  // bytes, of one without; each ring that follows has twice as many...
constexpr std::uint32_t largest_ring = 8 << 20;  // ... up to this
constexpr std::int64_t most_large_slots = 4096;
constexpr std::size_t large_slot = QueueMessage::most_inline, small_slot = 104;  // bytes in slots for any items
// How often one looks for news before it is worth a system call.
constexpr int looks = 500;

struct QueueState {
    std::uint32_t max_size;  // 0: no limit
    std::uint32_t stride;
    std::atomic<std::uint64_t> first;  // the ring that items are taken from: a Ref. Owned, as are those behind it
    std::atomic<std::uint64_t> last;   // the ring that items are put into, or one before it
    alignas(64) std::atomic<std::uint64_t> unfinished;
    alignas(64) WaitSet getters;
    alignas(64) WaitSet putters;
    alignas(64) WaitSet joiners;
};

QueueState& queue_in(std::byte* state) noexcept { return *reinterpret_cast<QueueState*>(state); }

// What an item is in that does not fit its slot, or that refers to other objects. These it holds by counting.
struct Parcel {
    std::uint64_t size;
    std::uint32_t references;
    std::uint32_t unused;

    struct Reference {
        std::uint64_t ref;
        std::atomic<std::uint64_t> is_counted;
    };
    Reference* reference(std::size_t index) noexcept { return reinterpret_cast<Reference*>(this + 1) + index; }
    std::byte* bytes() noexcept { return reinterpret_cast<std::byte*>(reference(references)); }
    static std::size_t size_for(std::size_t references, std::size_t bytes) noexcept {
        return sizeof(Parcel) + references * sizeof(Reference) + bytes;
    }
};

constexpr auto parcel_kind = static_cast<Arena::Kind>(ObjectKind::parcel);
constexpr auto ring_kind = static_cast<Arena::Kind>(ObjectKind::queue_ring);
constexpr auto queue_kind = static_cast<Arena::Kind>(ObjectKind::queue);

void clear_parcel(Arena& arena, std::byte* payload) noexcept {
    auto& parcel = *reinterpret_cast<Parcel*>(payload);
    for (std::uint32_t i = 0; i < parcel.references; ++i)
        if (parcel.reference(i)->is_counted.exchange(0) != 0)
            arena.count_down(Arena::Ref::unpack(parcel.reference(i)->ref));
}
void clear_ring(Arena& arena, std::byte* payload) noexcept {
    reinterpret_cast<QueueRing*>(payload)->for_each_parcel([&](Arena::Ref parcel) { arena.release_owned(parcel); });
}
// From the first ring on. Each names the next, so that is read before it goes.
void clear_queue(Arena& arena, std::byte* payload) noexcept {
    std::uint64_t name = queue_in(payload).first.exchange(0);
    while (name != 0) {
        const Arena::Ref ring = Arena::Ref::unpack(name);
        name = reinterpret_cast<QueueRing*>(arena.payload(ring))->next.load();
        arena.release_owned(ring);
    }
}

const bool are_clears_known = [] {
    Arena::set_clear(parcel_kind, clear_parcel);
    Arena::set_clear(ring_kind, clear_ring);
    Arena::set_clear(queue_kind, clear_queue);
    return true;
}();

Arena::Ref make_ring(Arena& arena, std::uint32_t capacity, std::uint32_t limit, std::uint32_t stride) {
    const Arena::Ref ref = Runtime::get().create_object(ring_kind, QueueRing::bytes_for(capacity, stride));
    reinterpret_cast<QueueRing*>(arena.payload(ref))->set_up(capacity, limit, stride);
    return ref;
}

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

// An item's parcel before it is in the queue: let go of unless it gets there.
class NewParcel {
public:
    NewParcel(Arena& arena, const OutputBuffer& message) : arena_(arena) {
        for (const Attachment& shared : message.attachments()) {
            if (shared->kind() == Shared::Kind::object) continue;
            throw CodecError(
                "multiproc: a SharedArray cannot go through a queue; make it an argument of the process or task");
        }
        const std::size_t references = message.attachments().size();
        ref_ = Runtime::get().create_object(parcel_kind, Parcel::size_for(references, message.size()));
        auto& parcel = *reinterpret_cast<Parcel*>(arena.payload(ref_));
        parcel.size = message.size();
        parcel.references = static_cast<std::uint32_t>(references);
        for (std::size_t i = 0; i < references; ++i) {
            Parcel::Reference& reference = *parcel.reference(i);
            reference.ref = multiproc::name_of(message.attachments()[i]).pack();
            if (arena.count_up(Arena::Ref::unpack(reference.ref))) reference.is_counted.store(1);
        }
        std::memcpy(parcel.bytes(), message.bytes().data(), message.size());
    }
    ~NewParcel() {
        if (ref_) arena_.release(ref_);
    }
    NewParcel(const NewParcel&) = delete;
    NewParcel& operator=(const NewParcel&) = delete;

    // The slot names it before it is the queue's, and it is the queue's before it is this process's no more: at each
    // instant somebody who finds this process dead knows whose it is.
    void hand_over(QueueSlot& slot) noexcept {
        slot.parcel.store(ref_.pack(), std::memory_order_release);
        arena_.mark_owned(ref_);
        arena_.release(std::exchange(ref_, {}));
    }

private:
    Arena& arena_;
    Arena::Ref ref_;
};

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
    ObjectRef object;  // if it had to be held first
    QueueState& queue;
    QueueClient& client;
};
Opened open(const ObjectRef& given, std::byte* state) {
    ObjectRef held;
    if (!given->is_ours()) held = ObjectRegistry::get().require(given->ref());
    QueueClient& client = client_of(held ? *held : *given);
    if (client.is_closed.load(std::memory_order_relaxed)) throw ClosedError("multiproc: this queue is closed");
    return {std::move(held), queue_in(state), client};
}

auto is_gone(const Arena& arena, std::uint64_t sender) {
    return [&arena, sender] { return sender != 0 && !arena.exists(Arena::Ref::unpack(sender)); };
}

os::Deadline deadline_of(const Patience& patience) {
    if (!patience.block) return os::Clock::time_point::min();
    return patience.timeout ? deadline_after(*patience.timeout) : os::never;
}

// Calls `attempt` until it says that it is done; meanwhile looks, then sleeps while `is_hopeless`. False at the deadline,
// and once `is_over` was true before an attempt.
template <class Attempt, class IsHopeless, class IsOver>
bool repeat(WaitSet& waiters, const Patience& patience, Attempt attempt, IsHopeless is_hopeless, IsOver is_over) {
    if (attempt(false)) return true;
    const os::Deadline deadline = deadline_of(patience);
    if (patience.block) {
        for (int i = 0; i < looks; ++i) {
            if (!is_hopeless() && attempt(false)) return true;
            os::relax_cpu();
        }
    }
    bool was_woken = false;
    for (;;) {
        const bool is_last = is_over();
        if (attempt(true)) return true;
        if (is_last || deadline <= os::Clock::now()) break;
        was_woken = waiters.wait(deadline, is_hopeless) == WaitSet::Outcome::woken || was_woken;
    }
    // The wake-up was for somebody who takes what there is.
    if (was_woken && !is_hopeless()) waiters.wake(1);
    return false;
}

}  // namespace

void QueueWriter::grow(std::size_t more) {
    const std::size_t used = size(), capacity = 2 * used + more;
    std::unique_ptr<std::byte[]> block(new std::byte[capacity]);
    std::memcpy(block.get(), begin_, used);
    large_ = std::move(block);
    begin_ = large_.get();
    cursor_ = begin_ + used;
    limit_ = begin_ + capacity;
}

QueueMessage::~QueueMessage() {
    if (parcel_ != 0) Runtime::get().arena().release(Arena::Ref::unpack(parcel_));
}

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

    const QueueClient::Use use(client);
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
                    arena.mark_owned(more);
                    std::uint64_t none = 0;
                    if (!ring.next.compare_exchange_strong(none, more.pack())) arena.release_owned(more);
                    arena.release(more);
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
        queue.putters, patience, attempt, [&] { return client.has_no_room(); }, [] { return false; });
}

bool QueueCore::get_message(QueueMessage& message, const Patience& patience, std::uint64_t sender) const {
    const Opened opened = open(object(), state());
    QueueState& queue = opened.queue;
    QueueClient& client = opened.client;
    Arena& arena = client.arena;
    const QueueClient::Use use(client);
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
                arena.hold(ref);
                message.parcel_ = name;
                auto& parcel = *reinterpret_cast<Parcel*>(arena.payload(ref));
                message.data_ = parcel.bytes();
                message.size_ = static_cast<std::size_t>(parcel.size);
                arena.release_owned(ref);
                slot.parcel.store(0, std::memory_order_relaxed);
            } else {
                message.size_ = slot.size;
                std::memcpy(message.small_, slot.payload(), message.size_);
            }
            slot.counted.store(0, std::memory_order_relaxed);
            ring.free(claim);
            if (queue.max_size != 0) queue.putters.wake(1);
            return true;
        }
    };
    return repeat(
        queue.getters, patience, attempt, [&] { return client.has_no_news(); }, is_gone(arena, sender));
}

bool QueueCore::await_message(const Patience& patience, std::uint64_t sender) const {
    const Opened opened = open(object(), state());
    QueueClient& client = opened.client;
    const QueueClient::Use use(client);
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
        opened.queue.getters, patience, has_message, [&] { return client.has_no_news(); },
        is_gone(client.arena, sender));
    // The wake-up was for somebody who takes it.
    if (has_come) opened.queue.getters.wake(1);
    return has_come;
}

std::uint64_t QueueCore::size() const {
    const Opened opened = open(object(), state());
    const QueueClient::Use use(opened.client);
    QueueRing& first = opened.client.get_ring();
    std::uint64_t items = first.size();
    for (std::uint64_t next = first.next.load(std::memory_order_acquire); next != 0;) {
        const Arena::Ref ref = Arena::Ref::unpack(next);
        QueueRing* const ring = opened.client.look_at(ref);
        if (ring == nullptr) break;
        items += ring->size();
        next = ring->next.load(std::memory_order_acquire);
    }
    return items;
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
    QueueState& queue = open(object(), state()).queue;
    const os::Deadline deadline = timeout ? deadline_after(*timeout) : os::never;
    const auto is_open = [&] { return queue.unfinished.load(std::memory_order_seq_cst) != 0; };
    while (is_open()) {
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
