#include "arena.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <new>

#include "arena_layout.hpp"
#include "die_here.hpp"

namespace multiproc {
namespace {

std::array<std::atomic<Arena::Clear>, 256> clears{};

}  // namespace

Arena::Arena(os::Handle memory, std::uint32_t self)
    : segment_(std::make_shared<os::Segment>(os::Segment::adopt_sparse(std::move(memory), size))), self_(self) {
    segment_->drop_handle();
    if (!os::Segment::needs_commit()) return;
    committed_ = std::make_unique<std::atomic<bool>[]>(span_count);
    if (!has_memory(0, Tables::first_span)) throw std::bad_alloc();
}

// Whether so many spans can be touched by this process.
bool Arena::has_memory(std::size_t span, std::size_t count) const noexcept {
    if (!committed_) return true;
    const auto first = committed_.get() + span;
    if (std::all_of(first, first + count, [](const auto& done) { return done.load(std::memory_order_relaxed); }))
        return true;
    if (!segment_->commit(span * span_size, count * span_size)) return false;
    std::for_each(first, first + count, [](auto& done) { done.store(true, std::memory_order_relaxed); });
    return true;
}

void Arena::set_clear(Kind kind, Clear clear) noexcept { clears[kind].store(clear, std::memory_order_release); }

Arena::Head* Arena::head_at(std::uint32_t place) const noexcept {
    return reinterpret_cast<Head*>(segment_->data() + std::size_t{place} * alignment);
}

std::uint32_t Arena::place_of(const Head& head) const noexcept {
    return static_cast<std::uint32_t>((reinterpret_cast<const std::byte*>(&head) - segment_->data()) /
                                      static_cast<std::ptrdiff_t>(alignment));
}

// The object, if it is that one still. The place comes from a message, so nothing is taken for granted.
Arena::Head* Arena::find(Ref ref, bool also_clearing) const noexcept {
    const std::size_t offset = std::size_t{ref.place} * alignment;
    if (offset < Tables::first_span * span_size || offset >= size) return nullptr;
    const std::size_t span = offset / span_size;
    const SpanWord word = SpanWord::unpack(tables().spans[span].load(std::memory_order_acquire));
    const std::size_t within = offset % span_size;
    const bool is_cell = word.use == SpanWord::cells && within % (std::size_t{1} << word.shift) == 0;
    if (!is_cell && !(word.use == SpanWord::large && within == 0)) return nullptr;
    if (!has_memory(span)) return nullptr;
    Head* const head = head_at(ref.place);
    const CellWord cell = CellWord::unpack(head->word.load(std::memory_order_acquire));
    const bool is_there = cell.status == Status::live || (also_clearing && cell.status == Status::clearing);
    return is_there && cell.generation == ref.generation ? head : nullptr;
}

std::size_t Arena::class_of(std::size_t bytes) noexcept {
    return std::max<std::size_t>(static_cast<std::size_t>(std::bit_width(bytes + head_size - 1)), smallest_class);
}

Arena::Ref Arena::create(Kind kind, std::size_t bytes) {
    if (bytes > size) throw std::bad_alloc();
    const std::size_t size_class = class_of(bytes);
    const std::optional<Ref> made =
        size_class <= largest_class ? create_small(size_class, kind, bytes) : create_large(kind, bytes);
    if (!made) throw std::bad_alloc();
    return *made;
}

// What lies in whole spans is given back to the system, which costs less than touching it.
void Arena::clear_memory(std::byte* begin, std::size_t bytes) const noexcept {
    const auto offset = static_cast<std::size_t>(begin - segment_->data());
    const std::size_t whole = (offset + span_size - 1) / span_size * span_size;
    const std::size_t end = (offset + bytes + span_size - 1) / span_size * span_size;
    const bool has_spans = bytes > span_size && segment_->discard(whole, end - whole);
    std::memset(begin, 0, has_spans ? whole - offset : bytes);
}

// A cell that this process has taken becomes an object. The zeros and the hold are there before anybody can find it.
std::optional<Arena::Ref> Arena::begin(Head& head, std::uint32_t generation, Kind kind, std::size_t bytes) noexcept {
    const Ref ref{place_of(head), generation};
    clear_memory(reinterpret_cast<std::byte*>(&head) + head_size, bytes);
    head.size.store(bytes, std::memory_order_relaxed);
    head.counted.store(0, std::memory_order_relaxed);
    const std::uint64_t none = TaggedWord{generation}.pack();
    for (std::atomic<std::uint64_t>& word : head.holders) word.store(none, std::memory_order_relaxed);
    head.overflow.store(none, std::memory_order_relaxed);
    head.additions.store(none, std::memory_order_relaxed);
    if (kind != overflow_kind) {
        if (!set_holder(head, ref, holder_bit(self_))) {
            release_overflow(head, ref);
            vacate(head);
            return std::nullopt;
        }
        die_here(DeathPoint::object_prepared);
    }
    // One for the bits of an object is this process's until that object names it.
    const CellWord word = kind == overflow_kind
                              ? CellWord{Status::taken, kind, static_cast<std::uint16_t>(self_ + 1), generation}
                              : CellWord{Status::live, kind, no_process, generation};
    head.word.store(word.pack(), std::memory_order_release);
    die_here(DeathPoint::object_made);
    return ref;
}

std::uint64_t Arena::take(std::uint32_t& generation) noexcept {
    generation = tables().generations.fetch_add(1, std::memory_order_relaxed) + 1;
    return CellWord{Status::taken, 0, static_cast<std::uint16_t>(self_ + 1), generation}.pack();
}

std::optional<Arena::Ref> Arena::create_in_span(std::size_t span, std::size_t cell_size, Kind kind,
                                                std::size_t bytes) noexcept {
    const SpanWord use = SpanWord::unpack(tables().spans[span].load(std::memory_order_acquire));
    if (use.use != SpanWord::cells || !has_memory(span)) return std::nullopt;
    for (std::size_t offset = 0; offset < span_size; offset += cell_size) {
        Head& head = *head_at(static_cast<std::uint32_t>((span * span_size + offset) / alignment));
        std::uint64_t empty = free_cell(use.count);
        if (head.word.load(std::memory_order_relaxed) != empty) continue;
        std::uint32_t generation = 0;
        if (!head.word.compare_exchange_strong(empty, take(generation), std::memory_order_acq_rel)) continue;
        die_here(DeathPoint::cell_taken);
        return begin(head, generation, kind, bytes);
    }
    return std::nullopt;
}

std::optional<Arena::Ref> Arena::create_small(std::size_t size_class, Kind kind, std::size_t bytes) noexcept {
    std::atomic<std::uint32_t>& last = last_span_[size_class];
    const std::size_t start = std::max<std::size_t>(last.load(std::memory_order_relaxed), Tables::first_span);
    // Spans of this class from the one that had room on, then those before, and only then a free one.
    for (const bool divides : {false, true}) {
        for (const auto& [first, end] : {std::pair(start, span_count), std::pair(Tables::first_span, start)}) {
            for (std::size_t span = first; span < end; ++span) {
                const std::uint64_t seen = tables().spans[span].load(std::memory_order_acquire);
                const SpanWord use = SpanWord::unpack(seen);
                const bool is_wanted = use.use == SpanWord::cells && use.shift == size_class;
                if (!is_wanted && !(divides && seen == 0 && divide(span, size_class))) continue;
                if (const auto made = create_in_span(span, std::size_t{1} << size_class, kind, bytes)) {
                    last.store(static_cast<std::uint32_t>(span), std::memory_order_relaxed);
                    return made;
                }
            }
        }
    }
    return std::nullopt;
}

bool Arena::take_spans(std::size_t first, std::size_t count) noexcept {
    std::atomic<std::uint64_t>* const spans = &tables().spans[first];
    std::uint64_t empty = 0;
    const SpanWord mine{0, SpanWord::taken, static_cast<std::uint16_t>(self_ + 1), static_cast<std::uint32_t>(count)};
    if (!spans[0].compare_exchange_strong(empty, mine.pack(), std::memory_order_acq_rel)) return false;
    die_here(DeathPoint::first_span_taken);
    for (std::size_t i = 1; i < count; ++i) {
        empty = 0;
        const SpanWord other{0, SpanWord::rest, no_process, static_cast<std::uint32_t>(i)};
        if (!spans[i].compare_exchange_strong(empty, other.pack(), std::memory_order_acq_rel)) {
            give_spans_back(first, count);
            return false;
        }
        die_here(DeathPoint::next_span_taken);
    }
    return true;
}

// Of spans that somebody has taken. Those behind the first are its own only if they say so.
void Arena::give_spans_back(std::size_t first, std::size_t count) noexcept {
    std::atomic<std::uint64_t>* const spans = &tables().spans[first];
    for (std::size_t i = 1; i < count; ++i) {
        std::uint64_t its = SpanWord{0, SpanWord::rest, no_process, static_cast<std::uint32_t>(i)}.pack();
        spans[i].compare_exchange_strong(its, 0, std::memory_order_acq_rel);
        die_here(DeathPoint::next_span_given_back);
    }
    spans[0].store(0, std::memory_order_release);
    die_here(DeathPoint::spans_given_back);
}

// Makes cells of a free span.
bool Arena::divide(std::size_t span, std::size_t size_class) noexcept {
    if (!take_spans(span, 1)) return false;
    if (!has_memory(span)) {
        give_spans_back(span, 1);
        return false;
    }
    const std::uint32_t division = tables().generations.fetch_add(1, std::memory_order_relaxed) + 1;
    // What a large object has left here must not pass for cells in use.
    for (std::size_t offset = 0; offset < span_size; offset += std::size_t{1} << size_class)
        head_at(static_cast<std::uint32_t>((span * span_size + offset) / alignment))
            ->word.store(free_cell(division), std::memory_order_relaxed);
    die_here(DeathPoint::span_laid_out);
    tables().spans[span].store(
        SpanWord{static_cast<std::uint8_t>(size_class), SpanWord::cells, no_process, division}.pack(),
        std::memory_order_release);
    die_here(DeathPoint::span_divided);
    return true;
}

std::optional<Arena::Ref> Arena::create_large(Kind kind, std::size_t bytes) noexcept {
    const std::size_t count = (bytes + head_size + span_size - 1) / span_size;
    for (std::size_t first = Tables::first_span; first + count <= span_count; ++first) {
        // Only what looks free is claimed, since others take what is claimed for used.
        std::size_t free = 0;
        while (free < count && tables().spans[first + free].load(std::memory_order_relaxed) == 0) ++free;
        if (free < count) {
            first += free;
            continue;
        }
        if (!take_spans(first, count)) continue;
        if (!has_memory(first, count)) {
            give_spans_back(first, count);
            return std::nullopt;
        }
        Head& head = *head_at(static_cast<std::uint32_t>(first * span_size / alignment));
        std::uint32_t generation = 0;
        head.word.store(take(generation), std::memory_order_relaxed);
        die_here(DeathPoint::large_cell_taken);
        // From here on what a death leaves is found by the cell.
        const SpanWord whole{0, SpanWord::large, no_process, static_cast<std::uint32_t>(count)};
        tables().spans[first].store(whole.pack(), std::memory_order_release);
        die_here(DeathPoint::large_span_announced);
        return begin(head, generation, kind, bytes);
    }
    return std::nullopt;
}

// Only one process clears it; should that die on the way, whoever sweeps after it goes on.
void Arena::free(Head& head, std::uint64_t seen) noexcept {
    const CellWord before = CellWord::unpack(seen);
    const CellWord mine{Status::clearing, before.kind, static_cast<std::uint16_t>(self_ + 1), before.generation};
    if (!head.word.compare_exchange_strong(seen, mine.pack(), std::memory_order_seq_cst)) return;
    die_here(DeathPoint::clearing_begun);
    if (before.status == Status::live && is_held(head)) {  // since a moment ago, see hold_for
        head.word.store(CellWord{Status::live, before.kind, no_process, before.generation}.pack(),
                        std::memory_order_seq_cst);
        // If that holder has gone meanwhile, it could not free what was being freed.
        return free_unless_held(head, {place_of(head), before.generation});
    }
    if (const Clear clear = clears[before.kind].load(std::memory_order_acquire); clear != nullptr)
        clear(*this, reinterpret_cast<std::byte*>(&head) + head_size);
    die_here(DeathPoint::object_cleared);
    release_overflow(head, {place_of(head), before.generation});
    die_here(DeathPoint::overflow_released);
    vacate(head);
}

// The cell, or the spans of a large object, are nobody's.
void Arena::vacate(Head& head) noexcept {
    const std::size_t span = std::size_t{place_of(head)} * alignment / span_size;
    const SpanWord use = SpanWord::unpack(tables().spans[span].load(std::memory_order_acquire));
    if (use.use != SpanWord::large) {
        head.word.store(free_cell(use.count), std::memory_order_release);
        return die_here(DeathPoint::cell_vacated);
    }
    const SpanWord taken{0, SpanWord::taken, static_cast<std::uint16_t>(self_ + 1), use.count};
    tables().spans[span].store(taken.pack(), std::memory_order_release);
    die_here(DeathPoint::spans_taken_back);
    if (use.count > 1) segment_->discard((span + 1) * span_size, (use.count - 1) * span_size);
    die_here(DeathPoint::spans_discarded);
    give_spans_back(span, use.count);
}

std::byte* Arena::payload(Ref ref) const noexcept {
    return segment_->data() + std::size_t{ref.place} * alignment + head_size;
}
std::size_t Arena::payload_size(Ref ref) const noexcept {
    return static_cast<std::size_t>(head_at(ref.place)->size.load(std::memory_order_acquire));
}
Arena::Ref Arena::ref_of(const std::byte* payload) const noexcept {
    const Head& head = *reinterpret_cast<const Head*>(payload - head_size);
    return {place_of(head), CellWord::unpack(head.word.load(std::memory_order_acquire)).generation};
}
Arena::Kind Arena::kind(Ref ref) const noexcept {
    return CellWord::unpack(head_at(ref.place)->word.load(std::memory_order_acquire)).kind;
}

}  // namespace multiproc
