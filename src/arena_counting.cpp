// Objects that hold others by counting, so that no death leaves a count that nobody takes back.
//
// The count and the holder's note of it are two words, and a process can be killed between two changes. So the holder first
// notes what it is about to do, and the change of the count itself says who makes it (`CountWord`): whoever changes the
// count next first completes that one's note, by an exchange that only this very intent lets succeed. So at each instant
// the two words together say whether the change was made, and who goes on after a death, as `count_down` is called when
// the holder is cleared, does neither too much nor too little.
#include <array>

#include "arena.hpp"
#include "arena_layout.hpp"
#include "die_here.hpp"

namespace multiproc {
namespace {

// A note: 0, or `counted`, or the intent of a holder of this generation.
constexpr std::uint64_t counted = 1;
std::uint64_t intent(std::uint32_t generation, bool is_down) noexcept {
    return std::uint64_t{generation} << 2 | (is_down ? 3u : 2u);
}

std::array<std::atomic<Arena::FindNote>, 256> find_note{};

}  // namespace

void Arena::set_find_note(Kind kind, FindNote how) noexcept { find_note[kind].store(how, std::memory_order_release); }

// Completes the note of whoever made this word. If its holder is gone, or has a new user, it was completed.
void Arena::settle(std::uint64_t word, Ref ref) noexcept {
    const CountWord last = CountWord::unpack(word);
    if (last.place == 0 || !has_memory(std::size_t{last.place} * alignment / span_size)) return;
    const std::uint32_t generation =
        CellWord::unpack(head_at(last.place)->word.load(std::memory_order_acquire)).generation;
    if (generation % CountWord::generations != last.generation) return;
    Head* const holder = find({last.place, generation}, true);
    if (holder == nullptr) return;
    const FindNote find_in = find_note[kind({last.place, generation})].load(std::memory_order_acquire);
    Note* const note = find_in == nullptr ? nullptr : find_in(payload({last.place, generation}), ref);
    std::uint64_t expected = intent(generation, last.is_down);
    if (note != nullptr) note->compare_exchange_strong(expected, last.is_down ? 0 : counted, std::memory_order_seq_cst);
}

// After the intent was noted. False if the count cannot be that high.
bool Arena::change_count(Head& head, Ref ref, Ref holder, Note& note, bool is_down) noexcept {
    std::uint64_t seen = head.counted.load(std::memory_order_seq_cst);
    CountWord next;
    do {
        settle(seen, ref);
        next = CountWord::unpack(seen);
        if (!is_down && next.count == CountWord::most) return false;
        next = {is_down ? next.count - 1 : next.count + 1, is_down, holder.place,
                holder.generation % CountWord::generations};
    } while (!head.counted.compare_exchange_weak(seen, next.pack(), std::memory_order_seq_cst));
    die_here(DeathPoint::count_changed);
    std::uint64_t expected = intent(holder.generation, is_down);
    note.compare_exchange_strong(expected, is_down ? 0 : counted, std::memory_order_seq_cst);
    die_here(DeathPoint::count_noted);
    // So that the next one need not look it up.
    std::uint64_t mine = next.pack();
    head.counted.compare_exchange_strong(mine, CountWord{next.count}.pack(), std::memory_order_seq_cst);
    die_here(DeathPoint::count_settled);
    return true;
}

bool Arena::count_up(Ref ref, Ref holder, Note& note) noexcept {
    Head* const head = find(ref);
    if (head == nullptr) return false;
    note.store(intent(holder.generation, false), std::memory_order_seq_cst);
    die_here(DeathPoint::count_up_intended);
    if (!change_count(*head, ref, holder, note, false)) {
        note.store(0, std::memory_order_relaxed);
        return false;
    }
    return TaggedWord::increment(head->additions, ref.generation);
}

void Arena::count_down(Ref ref, Ref holder, Note& note) noexcept {
    Head* const head = find(ref);
    const std::uint64_t up = intent(holder.generation, false), down = intent(holder.generation, true);
    std::uint64_t seen = note.load(std::memory_order_seq_cst);
    if (head != nullptr && (seen == up || seen == down)) {  // somebody was killed on the way
        settle(head->counted.load(std::memory_order_seq_cst), ref);
        seen = note.load(std::memory_order_seq_cst);
    }
    if (head == nullptr || seen == 0 || seen == up) return note.store(0, std::memory_order_relaxed);
    note.store(down, std::memory_order_seq_cst);
    die_here(DeathPoint::count_down_intended);
    change_count(*head, ref, holder, note, true);
    if (CountWord::unpack(head->counted.load(std::memory_order_seq_cst)).count == 0) free_unless_held(*head, ref);
}

}  // namespace multiproc
