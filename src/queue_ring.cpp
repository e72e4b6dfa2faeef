#include "queue_ring.hpp"

#include <bit>

#include "die_here.hpp"

namespace multiproc {
namespace {

// For how many slots ahead the lines are asked for.
constexpr std::uint64_t ahead = 8;

}  // namespace

void QueueRing::set_up(std::uint32_t capacity, std::uint32_t limit, std::uint32_t stride) noexcept {
    mask_ = capacity - 1;
    shift_ = static_cast<std::uint32_t>(std::countr_zero(capacity));
    limit_ = limit;
    stride_ = stride;
}

// Whether as many items are there as there may be, where that is less than there are slots.
bool QueueRing::is_full_at(std::uint64_t position) noexcept {
    if (limit_ == capacity() || position - known_head_.load(std::memory_order_relaxed) < limit_) return false;
    std::uint64_t head = head_.load(std::memory_order_seq_cst);
    // Whoever took the first item may not have said so yet.
    for (;;) {
        const std::uint64_t word = slot_at(head).word.load(std::memory_order_acquire);
        if (head > position) return false;  // an old hint: who claims that place fails, and looks again
        if (head == position || !is_taken(head, word)) break;
        help(head_, head);
        head = head_.load(std::memory_order_seq_cst);
    }
    known_head_.store(head, std::memory_order_relaxed);
    return position - head >= limit_;
}

QueueRing::Claim QueueRing::claim(std::uint32_t self) noexcept {
    for (;;) {
        const std::uint64_t tail = tail_.load(std::memory_order_acquire);
        QueueSlot& slot = slot_at(tail);
        std::uint64_t seen = slot.word.load(std::memory_order_seq_cst);
        const std::uint64_t behind = laps_behind(tail, seen);
        if (behind == 1) return {Result::no, &slot, tail, seen};  // the item of the lap before is still there
        if (behind != 0 || (state_of(seen) != free_slot && state_of(seen) != closed)) {
            help(tail_, tail);
            continue;
        }
        if (state_of(seen) == closed) return {Result::closed};
        if (is_full_at(tail)) {
            const std::uint64_t head = head_.load(std::memory_order_acquire);
            return {Result::no, &slot_at(head), head, slot_at(head).word.load(std::memory_order_acquire)};
        }
        if (!slot.word.compare_exchange_strong(seen, pack(lap(tail), writing, self), std::memory_order_acq_rel))
            continue;
        die_here(DeathPoint::slot_claimed);
        advance(tail_, tail);
        die_here(DeathPoint::tail_advanced);
        // Consumers had the next ones last.
        os::expect_to_write(&slot_at(tail + ahead));
        return {Result::done, &slot, tail, 0};
    }
}

void QueueRing::publish(const Claim& claim) noexcept {
    claim.slot->word.exchange(pack(lap(claim.position), ready), std::memory_order_seq_cst);
    die_here(DeathPoint::item_published);
}

QueueRing::Claim QueueRing::take_or_look(std::uint32_t self, bool takes) noexcept {
    for (;;) {
        const std::uint64_t head = head_.load(std::memory_order_acquire);
        QueueSlot& slot = slot_at(head);
        std::uint64_t seen = slot.word.load(std::memory_order_seq_cst);
        const std::uint64_t behind = laps_behind(head, seen);
        // Empty, and whoever took the item of the lap before is not done with it.
        if (behind == 1) return {Result::busy, &slot, head, seen};
        if (behind == 0) {
            switch (state_of(seen)) {
                case free_slot: return {Result::no, &slot, head, seen};
                case closed: return {Result::closed};
                case writing: return {Result::busy, &slot, head, seen};
                case skipped:
                    slot.word.compare_exchange_strong(seen, pack(lap(head) + 1, free_slot), std::memory_order_seq_cst);
                    die_here(DeathPoint::skipped_slot_freed);
                    break;
                case taken: break;
                case ready:
                    if (!takes) return {Result::done, &slot, head, seen};
                    if (!slot.word.compare_exchange_strong(seen, pack(lap(head), taken, self),
                                                           std::memory_order_acq_rel))
                        continue;
                    die_here(DeathPoint::item_taken);
                    advance(head_, head);
                    die_here(DeathPoint::head_advanced);
                    return {Result::done, &slot, head, 0};
            }
        }
        help(head_, head);
    }
}

void QueueRing::free(const Claim& claim) noexcept {
    claim.slot->word.exchange(pack(lap(claim.position) + 1, free_slot), std::memory_order_seq_cst);
    die_here(DeathPoint::slot_freed);
}

bool QueueRing::close(const Claim& claim) noexcept {
    std::uint64_t seen = claim.seen;
    if (claim.slot->word.compare_exchange_strong(seen, pack(lap(claim.position), closed), std::memory_order_acq_rel)) {
        die_here(DeathPoint::ring_closed);
        return true;
    }
    return lap_of(seen) == (lap(claim.position) & 0xffffff) && state_of(seen) == closed;
}

bool QueueRing::is_in_use() const noexcept {
    for (std::uint64_t i = 0; i <= mask_; ++i) {
        const State state = state_of(slot_at(i).word.load(std::memory_order_seq_cst));
        if (state == writing || state == ready || state == taken) return true;
    }
    return false;
}

bool QueueRing::has_news() const noexcept {
    const std::uint64_t head = head_.load(std::memory_order_seq_cst);
    const std::uint64_t word = slot_at(head).word.load(std::memory_order_seq_cst);
    const std::uint64_t behind = laps_behind(head, word);
    if (behind != 0) return behind != 1;
    if (state_of(word) == free_slot) return next.load(std::memory_order_seq_cst) != 0;
    return state_of(word) != writing;
}

// Both hints may be behind, even behind what they were: who stores one may have been held up before it, see `advance`. So
// where they say that there is no room, the slot has the last word; who is told of room that there is not helps the hints
// along as it looks for it.
bool QueueRing::has_room() const noexcept {
    const std::uint64_t tail = tail_.load(std::memory_order_seq_cst);
    if (limit_ != capacity()) {  // else the consumers' line is left alone
        const std::uint64_t head = head_.load(std::memory_order_seq_cst);
        if (tail >= head && tail - head >= limit_)
            return is_taken(head, slot_at(head).word.load(std::memory_order_seq_cst));
    }
    return laps_behind(tail, slot_at(tail).word.load(std::memory_order_seq_cst)) != 1;
}

std::uint64_t QueueRing::size() const noexcept {
    const std::uint64_t head = head_.load(std::memory_order_acquire);
    const std::uint64_t tail = tail_.load(std::memory_order_acquire);
    return tail > head ? tail - head : 0;
}

}  // namespace multiproc
