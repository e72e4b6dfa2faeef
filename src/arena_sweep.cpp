// What processes leave behind: the dead their objects and what they were at work on, the living memory that is divided
// for objects they do not make any more.
#include "arena.hpp"
#include "arena_layout.hpp"
#include "die_here.hpp"

namespace multiproc {
namespace {

std::array<std::atomic<Arena::Sweep>, 256> sweeps{};

}  // namespace

void Arena::set_sweep(Kind kind, Sweep sweep) noexcept { sweeps[kind].store(sweep, std::memory_order_release); }

// Of a dead process that was about to have its bits in there: either the object names it, or nobody ever will.
void Arena::sweep_overflow(Head& head, std::uint64_t seen) noexcept {
    const CellWord cell = CellWord::unpack(seen);
    const Ref ref = Ref::unpack(head.overflow.load(std::memory_order_acquire));
    const Head* const owner = find(ref, true);
    const bool is_named = owner != nullptr && owner->overflow.load(std::memory_order_acquire) ==
                                                  TaggedWord{ref.generation, place_of(head)}.pack();
    const CellWord live{Status::live, overflow_kind, no_process, cell.generation};
    const CellWord mine{Status::taken, overflow_kind, static_cast<std::uint16_t>(self_ + 1), cell.generation};
    if (!head.word.compare_exchange_strong(seen, (is_named ? live : mine).pack(), std::memory_order_acq_rel)) return;
    die_here(DeathPoint::swept_overflow_decided);
    if (!is_named) vacate(head);
}

void Arena::sweep_cell(Head& head, std::uint32_t process) noexcept {
    const std::uint64_t seen = head.word.load(std::memory_order_acquire);
    const CellWord cell = CellWord::unpack(seen);
    const bool is_its_work = cell.process == process + 1;
    switch (cell.status) {
        case Status::free: return;
        case Status::taken: {
            if (!is_its_work) return;
            if (cell.kind == overflow_kind) return sweep_overflow(head, seen);
            // Nothing in the head counts yet, so there is nothing to clear but what may have come first.
            const CellWord mine{Status::taken, 0, static_cast<std::uint16_t>(self_ + 1), cell.generation};
            std::uint64_t expected = seen;
            if (head.word.compare_exchange_strong(expected, mine.pack(), std::memory_order_acq_rel)) {
                die_here(DeathPoint::swept_cell_taken);
                release_overflow(head, {place_of(head), cell.generation});
                vacate(head);
            }
            return;
        }
        case Status::clearing:
            if (is_its_work) free(head, seen);
            return;
        case Status::live:
            if (cell.kind == overflow_kind) return;  // goes with the object it belongs to
            if (const Sweep sweep = sweeps[cell.kind].load(std::memory_order_acquire); sweep != nullptr)
                sweep(*this, {place_of(head), cell.generation}, process);
            release_for({place_of(head), cell.generation}, process);
            // The last one to hold it may have died between letting go of it and freeing it.
            free_unless_held(head, {place_of(head), cell.generation});
    }
}

void Arena::release_all(std::uint32_t process) noexcept {
    for (std::size_t span = 0; span < span_count; ++span) {
        const std::uint64_t seen = tables().spans[span].load(std::memory_order_acquire);
        const SpanWord word = SpanWord::unpack(seen);
        Head* const first = head_at(static_cast<std::uint32_t>(span * span_size / alignment));
        if (word.use == SpanWord::taken && word.process == process + 1) {
            // One sweeper has it: the word is that process's no more.
            std::uint64_t expected = seen;
            const SpanWord mine{0, SpanWord::taken, static_cast<std::uint16_t>(self_ + 1), word.count};
            if (!tables().spans[span].compare_exchange_strong(expected, mine.pack(), std::memory_order_acq_rel))
                continue;
            die_here(DeathPoint::swept_spans_taken);
            give_spans_back(span, word.count);
        } else if ((word.use != SpanWord::large && word.use != SpanWord::cells) || !has_memory(span)) {
            continue;
        } else if (word.use == SpanWord::large) {
            sweep_cell(*first, process);
        } else {
            for (std::size_t offset = 0; offset < span_size; offset += std::size_t{1} << word.shift)
                sweep_cell(*reinterpret_cast<Head*>(reinterpret_cast<std::byte*>(first) + offset), process);
        }
    }
}

// Spans of cells none of which is in use become free spans. First all their cells are taken, so nobody else gets one.
void Arena::reclaim() noexcept {
    for (std::size_t span = Tables::first_span; span < span_count; ++span) {
        const std::uint64_t seen = tables().spans[span].load(std::memory_order_acquire);
        const SpanWord use = SpanWord::unpack(seen);
        if (use.use != SpanWord::cells || !has_memory(span)) continue;
        const std::size_t step = std::size_t{1} << use.shift;
        const auto cell = [&](std::size_t offset) -> std::atomic<std::uint64_t>& {
            return head_at(static_cast<std::uint32_t>((span * span_size + offset) / alignment))->word;
        };
        std::size_t taken = 0;
        for (; taken < span_size; taken += step) {
            std::uint64_t empty = free_cell(use.count);
            std::uint32_t generation = 0;
            if (cell(taken).load(std::memory_order_relaxed) != empty ||
                !cell(taken).compare_exchange_strong(empty, take(generation), std::memory_order_acq_rel))
                break;
            die_here(DeathPoint::reclaimed_cell_taken);
        }
        std::uint64_t expected = seen;
        const SpanWord mine{0, SpanWord::taken, static_cast<std::uint16_t>(self_ + 1), 1};
        if (taken >= span_size &&
            tables().spans[span].compare_exchange_strong(expected, mine.pack(), std::memory_order_acq_rel)) {
            die_here(DeathPoint::reclaimed_span_taken);
            segment_->discard(span * span_size, span_size);
            die_here(DeathPoint::reclaimed_span_discarded);
            give_spans_back(span, 1);
            continue;
        }
        for (std::size_t offset = 0; offset < taken; offset += step) {
            cell(offset).store(free_cell(use.count), std::memory_order_release);
            die_here(DeathPoint::reclaimed_cell_given_back);
        }
    }
}

std::size_t Arena::object_count() const noexcept {
    std::size_t count = 0;
    std::size_t covered = 0;  // spans up to here belong to a large object, or to what somebody is at work on
    for (std::size_t span = 0; span < span_count; ++span) {
        const SpanWord word = SpanWord::unpack(tables().spans[span].load(std::memory_order_acquire));
        if (word.use == SpanWord::taken || (word.use == SpanWord::rest && span >= covered)) ++count;
        if (word.use == SpanWord::taken || word.use == SpanWord::large) covered = span + word.count;
        if ((word.use != SpanWord::cells && word.use != SpanWord::large) || !has_memory(span)) continue;
        const std::size_t step = word.use == SpanWord::large ? span_size : std::size_t{1} << word.shift;
        for (std::size_t offset = 0; offset < span_size; offset += step) {
            const Head& head = *head_at(static_cast<std::uint32_t>((span * span_size + offset) / alignment));
            if (CellWord::unpack(head.word.load(std::memory_order_acquire)).status != Status::free) ++count;
        }
    }
    return count;
}

}  // namespace multiproc
