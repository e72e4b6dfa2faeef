/* Waiting and waking: nobody sleeps while there is something to do for him.
 *
 * Of src/wait_set.hpp and .cpp, with os::ParkingLot as the kernel's futex is:
 *   mark, unmark   WaitSet::mark, unmark; the set's bits, and how many of them, which is never too few
 *   enter, leave   WaitSet::enter, leave; `waits_in` is taken back by one exchange, by the waker or by the waiter
 *   park           WaitSet::park; a look at the word and going to sleep are one step of the kernel's
 *   wake_some      WaitSet::wake_some with count 1; the scan sees the bits as they were when it began
 *   wake_next      WaitSet::wake_next and wake_one_at_a_time, with `looks` of who was woken
 * The thing waited for is a number of items, as of a queue, or with PERMITS of a semaphore (src/semaphore.cpp), which
 * wakes one thread for each permit instead of handing on. Waiter is `repeat` of src/queue_core.cpp, or
 * BasicSemaphore::acquire. Each waiter takes ROUNDS_EACH items, so that old wake-ups meet later waits; with IMPATIENT,
 * one that sleeps may give up at its deadline, once.
 *
 * The two stores of `enter` are relaxed in C++ unless said otherwise; here they become visible in any order, where the
 * second is no release (RELAXED_ENTER). All else are exchanges or follow one, which is a full fence to them.
 *
 * DEATHS: one of the processes that put items, or of those that wait, dies at any step; then, and only then, there is the
 * clock: when all stand still, it has all sleepers look again, as `longest_wait` does; ROUNDS times.
 *
 * Checked: in the end nobody waits while there are items; no item is taken twice.
 *
 * Mutants: NO_SECOND_LOOK, RELAXED_ENTER, LATE_UNMARK (the waker unmarks after it has taken `waits_in`), NO_LOOKS (who
 * was woken does not say that it looks), NO_HAND_ON, NO_RECHECK (wake_one_at_a_time does not look again for one who came
 * meanwhile), NO_CLOCK (with DEATHS).
 *
 * check:
 * check: -DPUTTERS=2 -DPUTS=1 -DWAITERS=1 -DROUNDS_EACH=2
 * check: -DIMPATIENT -DPUTTERS=1
 * check: -DPERMITS -DPUTTERS=1 -DPUTS=2
 * check: -DDEATHS=1 -DPUTTERS=1 -DPUTS=2
 * mutant: -DNO_SECOND_LOOK
 * mutant: -DRELAXED_ENTER -DPUTTERS=2 -DPUTS=1 -DWAITERS=1 -DROUNDS_EACH=2
 * mutant: -DLATE_UNMARK
 * mutant: -DNO_LOOKS
 * mutant: -DNO_HAND_ON
 * mutant: -DNO_RECHECK
 * mutant: -DNO_CLOCK -DDEATHS=1 -DPUTTERS=1
 */
#ifndef WAITERS
#define WAITERS 2
#endif
#ifndef PUTTERS
#define PUTTERS 2
#endif
#ifndef ROUNDS_EACH
#define ROUNDS_EACH 1
#endif
#ifndef PUTS
#define PUTS 1
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#define EVERYBODY (WAITERS + PUTTERS)

byte items;
byte taken;
/* The set. */
bool bit_of[WAITERS];
byte marked;
bool underway;
byte last;
/* The slots. */
bool waits_in[WAITERS];
bool word[WAITERS];
bool is_asleep[WAITERS];
bool is_time_over[WAITERS];

bool is_done[EVERYBODY];
bool is_dead[EVERYBODY];
byte deaths, rounds;
#ifdef IMPATIENT
bool has_given_up[WAITERS];
#endif

inline mark() {
    marked++;
    atomic {
        was_marked = bit_of[self];
        bit_of[self] = true
    };
    if
    :: was_marked -> marked--
    :: else
    fi;
    was_marked = false
}

inline unmark(who) {
    atomic {
        was_marked = bit_of[who];
        bit_of[who] = false
    };
    if
    :: was_marked -> marked--
    :: else
    fi;
    was_marked = false
}

/* Only what is a store in shared memory, or an exchange, is a step. */
inline wake_some() {
    woken = false;
    d_step {
        first = (last + 1) % WAITERS;
        i = 0;
        do
        :: i < WAITERS -> seen[i] = bit_of[i]; i++
        :: else -> i = 0; break
        od
    };
    do
    :: i < WAITERS && !woken ->
        who = (first + i) % WAITERS;
        i++;
        if
        :: seen[who] ->
            seen[who] = false;
#ifndef LATE_UNMARK
            unmark(who);
#endif
            atomic { is_meant = waits_in[who]; waits_in[who] = false };
            if
            :: is_meant ->
                word[who] = true;
                is_asleep[who] = false;
                last = who;
                woken = true;
                is_meant = false
            :: else
            fi
#ifdef LATE_UNMARK
            ; unmark(who)
#endif
        :: else
        fi
    :: else -> break
    od;
    skip;
    d_step {
        i = 0;
        do
        :: i < WAITERS -> seen[i] = false; i++
        :: else -> i = 0; break
        od;
        who = 0;
        first = 0
    }
}

/* After an item was put, or by who was woken and has taken one while there are more. */
inline wake_next() {
    if
    :: marked == 0
    :: else ->
#ifdef PERMITS
        wake_some()
#else
        if
        :: underway
        :: else ->
            do
            :: atomic { !underway -> underway = true };
                wake_some();
                if
                :: woken -> break
                :: else -> underway = false
                fi;
#ifdef NO_RECHECK
                break
#else
                d_step {
                    i = 0;
                    do
                    :: i < WAITERS && !bit_of[i] -> i++
                    :: else -> break
                    od;
                    has_bits = (i < WAITERS);
                    i = 0
                };
                if
                :: has_bits -> has_bits = false
                :: else -> break
                fi
#endif
            :: underway -> break
            od;
            woken = false
        fi
#endif
    fi;
    woken = false
}

proctype Putter(byte self) {
    byte number, i, who, first;
    bool was_marked, is_meant, woken, has_bits;
    bool seen[WAITERS];
    {
        do
        :: number < PUTS ->
            items++;
            number++;
            wake_next()
        :: else -> is_done[self + WAITERS] = true; break
        od
    } unless {
        is_dead[self + WAITERS]
    }
}

proctype Waiter(byte self) {
    byte number, i, who, first;
    bool was_marked, is_meant, woken, has_bits, was_woken, is_over;
    bool seen[WAITERS];
    {
        do
        :: number == ROUNDS_EACH -> break
        :: else ->
            is_over = false;
            was_woken = false;
            do
            :: atomic { items > 0 -> items--; taken++; number++; break }
            :: items == 0 ->
                if
                :: is_over -> number++; break
                :: else
                fi;
                /* enter */
#ifdef RELAXED_ENTER
                if
                :: word[self] = false; waits_in[self] = true
                :: waits_in[self] = true; word[self] = false
                fi;
#else
                word[self] = false;
                waits_in[self] = true;
#endif
                mark();
                /* still_waits, and park */
#ifndef NO_SECOND_LOOK
                if
                :: items == 0 ->
#endif
                    do
                    :: atomic {
                        if
                        :: word[self] -> break
                        :: else -> is_asleep[self] = true
                        fi
                       };
end_asleep:
                        if
                        :: !is_asleep[self]
#ifdef IMPATIENT
                        :: atomic { is_asleep[self] && !has_given_up[self] -> is_asleep[self] = false; has_given_up[self] = true; is_over = true }
#endif
                        fi;
                        if
                        :: is_over || is_time_over[self] -> is_time_over[self] = false; break
                        :: else
                        fi
                    od
#ifndef NO_SECOND_LOOK
                :: items > 0
                fi
#endif
                ;
                /* leave */
                atomic { was_woken = was_woken || !waits_in[self]; waits_in[self] = false };
                unmark(self)
#if !defined(NO_LOOKS) && !defined(PERMITS)
                ; underway = false
#endif
            od;
#ifndef NO_HAND_ON
            if
#ifdef PERMITS
            :: was_woken && is_over && items > 0 -> wake_next()
#else
            :: was_woken && items > 0 -> wake_next()
#endif
            :: else
            fi
#endif
        od;
        is_done[self] = true
    } unless {
        is_dead[self]
    }
}

init {
    byte i;
    atomic {
        i = 0;
        do
        :: i < WAITERS -> run Waiter(i); i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < PUTTERS -> run Putter(i); i++
        :: else -> break
        od
    };
    do
#if DEATHS > 0
    :: deaths < DEATHS ->
        select(i : 0 .. EVERYBODY - 1);
        skip;
        d_step {
            deaths++;
            is_dead[i] = !is_done[i] /* else nobody dies */
        }
#endif
    :: timeout ->
        if
#ifndef NO_CLOCK
        :: rounds < ROUNDS * deaths ->
            rounds++;
            d_step {
                i = 0;
                do
                :: i < WAITERS -> is_time_over[i] = is_asleep[i]; is_asleep[i] = false; i++
                :: else -> break
                od
            }
#endif
        :: else -> break
        fi
    od;
    skip;
    d_step {
        i = 0;
        do
        :: i < WAITERS -> assert(is_done[i] || is_dead[i] || items == 0); i++
        :: else -> break
        od;
        assert(items + taken <= PUTTERS * PUTS && (deaths > 0 || items + taken == PUTTERS * PUTS))
    }
}
