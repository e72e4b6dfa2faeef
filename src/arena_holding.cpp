// Who holds an object: a bit for each process, and one for the object that it belongs to.
//
// The first bits are in the object's head, the others in an object of their own, its overflow, made when one of them is
// needed. Whoever comes to hold an object by its Ref alone may be late: it may be freed meanwhile, and its memory another's.
// So each of these words has the object's generation in it, and is changed by an exchange that fails if that is another.
#include <algorithm>

#include "arena.hpp"
#include "arena_layout.hpp"
#include "die_here.hpp"

namespace multiproc {
namespace {

constexpr std::uint32_t mask_of(std::size_t bit) noexcept { return std::uint32_t{1} << (bit % bits_per_word); }

bool has_bits(const std::atomic<std::uint64_t>& word) noexcept {
    return TaggedWord::unpack(word.load(std::memory_order_seq_cst)).value != 0;
}

}  // namespace

// The word with that bit. Null if there is none and `make` is false, or no room for one, or the object is gone.
std::atomic<std::uint64_t>* Arena::holders_word(Head& head, Ref ref, std::size_t bit, bool make) noexcept {
    const std::size_t index = bit / bits_per_word;
    if (index < inline_words) return &head.holders[index];
    const TaggedWord seen = TaggedWord::unpack(head.overflow.load(std::memory_order_acquire));
    if (seen.generation != ref.generation) return nullptr;
    const std::uint32_t overflow = seen.value != 0 ? seen.value : make ? make_overflow(head, ref) : 0;
    std::atomic<std::uint64_t>* const words = overflow == 0 ? nullptr : words_in(overflow);
    return words == nullptr ? nullptr : words + index;
}

// Its place, or that of the one that somebody else has made meanwhile. 0 if there is no room, or the object is gone.
std::uint32_t Arena::make_overflow(Head& head, Ref ref) noexcept {
    constexpr std::size_t bytes = all_words * sizeof(std::uint64_t);
    const std::optional<Ref> made = create_small(class_of(bytes), overflow_kind, bytes);
    if (!made) return 0;
    std::atomic<std::uint64_t>* const words = words_in(made->place);
    for (std::size_t i = 0; i < all_words; ++i)
        words[i].store(TaggedWord{ref.generation}.pack(), std::memory_order_relaxed);
    // It says whose it is to be: should this process be killed, whoever sweeps sees there whether it came to that.
    Head& overflow = *head_at(made->place);
    std::uint64_t mine = overflow.word.load(std::memory_order_relaxed);
    overflow.overflow.store(ref.pack(), std::memory_order_release);
    die_here(DeathPoint::overflow_named);
    // It belongs to this object from here on, and is freed with it; also if that is before it is marked as live.
    std::uint64_t seen = TaggedWord{ref.generation}.pack();
    if (!head.overflow.compare_exchange_strong(seen, TaggedWord{ref.generation, made->place}.pack(),
                                               std::memory_order_acq_rel)) {
        vacate(overflow);
        const TaggedWord other = TaggedWord::unpack(seen);
        return other.generation == ref.generation ? other.value : 0;
    }
    die_here(DeathPoint::overflow_linked);
    const CellWord live{Status::live, overflow_kind, no_process, made->generation};
    overflow.word.compare_exchange_strong(mine, live.pack(), std::memory_order_acq_rel);
    die_here(DeathPoint::overflow_live);
    return made->place;
}

// Of an overflow, which may be in memory that this process has not touched. Null if it cannot.
std::atomic<std::uint64_t>* Arena::words_in(std::uint32_t overflow) const noexcept {
    if (!has_memory(overflow * alignment / span_size)) return nullptr;
    return reinterpret_cast<std::atomic<std::uint64_t>*>(payload({overflow, 0}));
}

// The cell goes first, and only if it is this object's still: so whoever goes on after a death may do it again.
void Arena::release_overflow(Head& head, Ref ref) noexcept {
    const TaggedWord link = TaggedWord::unpack(head.overflow.load(std::memory_order_acquire));
    if (link.generation != ref.generation || link.value == 0) return;
    if (has_memory(link.value * alignment / span_size)) {
        Head& overflow = *head_at(link.value);
        const CellWord cell = CellWord::unpack(overflow.word.load(std::memory_order_acquire));
        if ((cell.status == Status::live || cell.status == Status::taken) && cell.kind == overflow_kind &&
            overflow.overflow.load(std::memory_order_acquire) == ref.pack())
            vacate(overflow);
    }
    die_here(DeathPoint::overflow_vacated);
    head.overflow.store(TaggedWord{ref.generation}.pack(), std::memory_order_relaxed);
}

bool Arena::set_holder(Head& head, Ref ref, std::size_t bit) noexcept {
    std::atomic<std::uint64_t>* const word = holders_word(head, ref, bit, true);
    return word != nullptr &&
           TaggedWord::change(*word, ref.generation, [bit](std::uint32_t bits) { return bits | mask_of(bit); });
}

// It may be on its way out, if nobody else holds it: who frees an object marks it first, then looks for holders once more,
// and a new holder sets its bit first, then looks at the mark. So at least one of them sees the other.
bool Arena::hold_for(Ref ref, std::uint32_t process) noexcept {
    Head* const head = find(ref, true);
    if (head == nullptr || !set_holder(*head, ref, holder_bit(process))) return false;
    die_here(DeathPoint::hold_marked);
    if (!TaggedWord::increment(head->additions, ref.generation)) return false;
    die_here(DeathPoint::hold_counted);
    for (int looks = 0; looks < 100'000; ++looks) {
        const CellWord cell = CellWord::unpack(head->word.load(std::memory_order_seq_cst));
        if (cell.generation != ref.generation) return false;
        if (cell.status != Status::clearing) return cell.status == Status::live;
        // Whoever is at it goes back or goes on within moments, unless it is killed.
        os::relax_cpu();
    }
    // The bit stays: others of that process may have come to hold the object by it meanwhile, if it lives on.
    return false;
}

bool Arena::is_held(Head& head) noexcept {
    for (;;) {
        const std::uint64_t before = head.additions.load(std::memory_order_seq_cst);
        if (has_holder(head)) return true;
        if (head.additions.load(std::memory_order_seq_cst) == before) return false;
    }
}
bool Arena::has_holder(Head& head) noexcept {
    if (std::any_of(head.holders, head.holders + inline_words, has_bits) ||
        CountWord::unpack(head.counted.load(std::memory_order_seq_cst)).count != 0)
        return true;
    const std::uint32_t overflow = TaggedWord::unpack(head.overflow.load(std::memory_order_seq_cst)).value;
    if (overflow == 0) return false;
    const std::atomic<std::uint64_t>* const words = words_in(overflow);
    return words == nullptr || std::any_of(words, words + all_words, has_bits);
}

void Arena::release_for(Ref ref, std::uint32_t process) noexcept { clear_holder(ref, holder_bit(process)); }

// Of two that let go at once the second one sees no holder, as both exchanges are of one order; and whoever sees none may
// free it, since nobody can come to hold what nobody holds.
void Arena::clear_holder(Ref ref, std::size_t bit) noexcept {
    Head* const head = find(ref);
    std::atomic<std::uint64_t>* const word = head == nullptr ? nullptr : holders_word(*head, ref, bit, false);
    if (word == nullptr) return;
    bool was_set = false;
    TaggedWord::change(*word, ref.generation, [&](std::uint32_t bits) {
        was_set = (bits & mask_of(bit)) != 0;
        return bits & ~mask_of(bit);
    });
    die_here(DeathPoint::hold_cleared);
    if (was_set) free_unless_held(*head, ref);
}
void Arena::free_unless_held(Head& head, Ref ref) noexcept {
    if (is_held(head)) return;
    const std::uint64_t seen = head.word.load(std::memory_order_acquire);
    const CellWord cell = CellWord::unpack(seen);
    if (cell.status == Status::live && cell.generation == ref.generation) free(head, seen);
}

void Arena::mark_owned(Ref ref) noexcept {
    Head* const head = find(ref);
    if (head == nullptr || !set_holder(*head, ref, owned_bit)) return;
    die_here(DeathPoint::owner_marked);
    TaggedWord::increment(head->additions, ref.generation);
}
void Arena::release_owned(Ref ref) noexcept { clear_holder(ref, owned_bit); }

}  // namespace multiproc
