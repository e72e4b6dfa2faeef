/* A lock whose owner may be killed.
 *
 * Of src/lock_state.cpp and .hpp:
 *   lock      LockState::lock and lock_slowly: take, say that one waits (the flag), sleep, look for a dead owner
 *   unlock    LockState::unlock: one exchange; with the flag in it, WaitSet::wake(1)
 * and of WaitSet (wait_set.pml) what counts here: a thread that is marked is woken by `waits_in` being taken back, and
 * knows by it whether it was woken. That is one step here, as wait_set.pml has it in all its steps.
 *
 * Each of THREADS, of as many processes, takes the lock and gives it back TURNS times. IMPATIENT ones that sleep may give
 * up at the deadline, once. DEATHS: whoever it is dies at any step. When all stand still after a death, and only then, the
 * clock has all sleepers look again, as `longest_wait` does, ROUNDS times for each death.
 *
 * Checked: the lock has one owner; in the end all who live had their turns; who comes after one that died in the critical
 * section is told so, though whoever was about to be told has died as well.
 *
 * Mutants: NO_SWEEP (nobody takes it from the dead), NO_FLAG (who waits does not say so), FLAGLESS_TAKE (who has waited
 * takes the lock without the flag), NO_SECOND_LOOK, QUIET_END (who gives up leaves the wake-up to nobody), BLIND_SWEEP
 * (the word of the dead is stored over, not exchanged).
 *
 * check:
 * check: -DIMPATIENT -DTURNS=1
 * check: -DDEATHS=1 -DTURNS=1
 * check: -DDEATHS=2 -DTURNS=1
 * mutant: -DNO_SWEEP -DDEATHS=1 -DTURNS=1
 * mutant: -DNO_FLAG -DTURNS=1
 * mutant: -DFLAGLESS_TAKE -DTURNS=1
 * mutant: -DNO_SECOND_LOOK -DTURNS=1
 * mutant: -DQUIET_END -DIMPATIENT
 * mutant: -DBLIND_SWEEP -DDEATHS=1 -DTURNS=1
 */
#ifndef THREADS
#define THREADS 3
#endif
#ifndef TURNS
#define TURNS 2
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#define NONE 0
#define FLAG 8
#define plain(word) ((word) & 7)

byte owner; /* 1 + the thread, with FLAG once somebody waits */
bool owner_died;
bool waits_in[THREADS];
bool has_left[THREADS]; /* asleep until woken, or until the clock says so */
byte inside; /* 1 + the thread that is in the critical section, or has died there */
bool is_dead[THREADS], is_done[THREADS];
byte deaths, rounds;

#if THREADS > 2
#define anybody_waits (waits_in[0] || waits_in[1] || waits_in[2])
#else
#define anybody_waits (waits_in[0] || waits_in[1])
#endif

inline wake_one() {
    /* Any of them: which comes first is not promised. */
    if
    :: atomic { waits_in[0] -> waits_in[0] = false }
    :: atomic { waits_in[1] -> waits_in[1] = false }
#if THREADS > 2
    :: atomic { waits_in[2] -> waits_in[2] = false }
#endif
    :: !anybody_waits
    fi
}

inline take_from_dead() {
#ifndef NO_SWEEP
    if
    :: is_dead[plain(seen) - 1] ->
        atomic {
            if
#ifndef BLIND_SWEEP
            :: owner != seen -> has_taken = false
#endif
            :: else -> owner = me; has_taken = true
            fi
        };
        if
        :: has_taken -> has_taken = false; owner_died = true; goto taken
        :: else
        fi
    :: else
    fi
#else
    skip
#endif
}

inline enter_section() {
    atomic {
        assert(inside == 0 || (is_dead[inside - 1] && owner_died));
        inside = 1 + self
    }
}

proctype Thread(byte self) {
    byte turn, seen, me;
    bool is_over, was_woken, has_taken, tells;
#ifdef IMPATIENT
    bool has_given_up;
#endif
    {
        do
        :: turn == TURNS -> is_done[self] = true; break
        :: else ->
            turn++;
            is_over = false;
            me = 1 + self;
            /* lock */
            do
            :: atomic {
                if
                :: owner == NONE -> owner = me; break
                :: else
                fi
               };
#ifndef FLAGLESS_TAKE
                me = (1 + self) | FLAG;
#endif
                seen = owner;
                if
                :: seen == NONE -> goto next
                :: else
                fi;
                if
                :: is_over -> take_from_dead()
                :: else
                fi;
#ifdef QUIET_END
                tells = !is_over;
#else
                tells = !is_over || anybody_waits;
#endif
#ifndef NO_FLAG
                if
                :: tells && (seen & FLAG) == 0 ->
                    tells = false;
                    atomic {
                        if
                        :: owner == seen -> owner = seen | FLAG
                        :: else -> goto next
                        fi
                    }
                :: else -> tells = false
                fi;
                seen = seen | FLAG;
#endif
                if
                :: is_over -> is_over = false; goto given_up
                :: else
                fi;
                /* enter, still_waits, park, leave */
                waits_in[self] = true;
#ifndef NO_SECOND_LOOK
                if
                :: owner == seen ->
#endif
end_asleep:
                    if
                    :: !waits_in[self] || has_left[self]
#ifdef IMPATIENT
                    :: atomic { waits_in[self] && !has_given_up -> has_given_up = true; is_over = true }
#endif
                    fi
#ifndef NO_SECOND_LOOK
                :: else
                fi
#endif
                ;
                atomic { was_woken = !waits_in[self]; waits_in[self] = false; has_left[self] = false };
                if
                :: !was_woken -> take_from_dead()
                :: else -> was_woken = false
                fi;
next:
                seen = NONE
            od;
taken:
            seen = NONE;
            was_woken = false;
            enter_section();
            d_step {
                assert(inside == 1 + self);
                inside = 0
            };
            /* unlock */
            atomic { seen = owner; owner = NONE };
            assert(plain(seen) == 1 + self);
            if
            :: (seen & FLAG) != 0 -> seen = NONE; wake_one()
            :: else -> seen = NONE
            fi;
given_up:
            seen = NONE
        od
    } unless {
        is_dead[self]
    }
}

init {
    byte i;
    atomic {
        i = 0;
        do
        :: i < THREADS -> run Thread(i); i++
        :: else -> break
        od
    };
    do
#if DEATHS > 0
    :: deaths < DEATHS ->
        select(i : 0 .. THREADS - 1);
        skip;
        d_step {
            deaths++;
            is_dead[i] = !is_done[i]
        }
#endif
    :: timeout ->
        if
        :: rounds < ROUNDS * deaths ->
            rounds++;
            d_step {
                i = 0;
                do
                :: i < THREADS -> has_left[i] = waits_in[i]; i++
                :: else -> break
                od
            }
        :: else -> break
        fi
    od;
    skip;
    d_step {
        i = 0;
        do
        :: i < THREADS -> assert(is_done[i] || is_dead[i]); i++
        :: else -> break
        od
    }
}
