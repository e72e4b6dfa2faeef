/* Tasks from a parent to a worker: begun by the worker or taken back by the parent, never both.
 *
 * Of src/ring.hpp and src/channel.*:
 *   push, publish   TaskRingParent::push, RingMemory::publish
 *   take_back       TaskRingParent::take_back, is_begun
 *   Worker          TaskRingWorker::begin; then, as there is nothing, Channel::sleep_child with is_empty
 *   wake_child      Channel::wake_child
 * with stores that become visible late and out of order (store_buffer.h). A record is one cell, and all words of records
 * look the same, so that one that was taken back and another at its place cannot be told apart. The ring does not come
 * round: how room is counted is not what this is about.
 *
 * The parent pushes RECORDS tasks, and takes the last ones back up to TAKES times, at any moment; what it has got back it
 * pushes again. With DEATHS the worker may die at any step. Then the parent goes by `begun` alone.
 *
 * Checked: the worker reads what was written for the record that it has begun; no task runs twice; a task that was taken
 * back is not run from there; the worker does not sleep while a record is there; when it has died, what ran counts as
 * begun, and at most one task that counts as begun did not run.
 *
 * Mutants: NO_FENCE_WORKER, NO_FENCE_PARENT, NO_SECOND_LOOK (begin does not look at the word again), NO_LOOK_BACK
 * (take_back does not look at `begun` again), RELAXED_PUBLISH, NO_FENCE_SLEEP, NO_FENCE_WAKE, FURTHEST_BOTTOM (`begun` is
 * believed up to `bottom_`, not `furthest_`: as long as the worker has not withdrawn it, an earlier task's is not).
 *
 * check:
 * check: -DRECORDS=3
 * check: -DDEATHS=1
 * mutant: -DNO_FENCE_WORKER
 * mutant: -DNO_FENCE_PARENT
 * mutant: -DNO_SECOND_LOOK
 * mutant: -DNO_LOOK_BACK
 * mutant: -DRELAXED_PUBLISH
 * mutant: -DNO_FENCE_SLEEP
 * mutant: -DNO_FENCE_WAKE
 * mutant: -DFURTHEST_BOTTOM
 */
#ifndef RECORDS
#define RECORDS 2
#endif
#ifndef TAKES
#define TAKES 2
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#define CELLS (RECORDS + 2)
#define PROCESSORS 2
#define BUFFER 3
#define WORKER 0
#define PARENT 1

#define WORD 0
#define PAYLOAD CELLS
#define BEGUN (CELLS + RECORDS)
#define ASLEEP (BEGUN + 1)
#define PLACES (ASLEEP + 1)

#define NOTHING 0
#define CALL 1
#define WITHHELD 2

#include "store_buffer.h"

bool ran[RECORDS + 1]; /* by number: 1 for the first */
byte is_at[RECORDS];   /* the number of the record at a position, as the parent has it; 0 if none */
bool sleeps;
bool is_dead, is_over;

/* Where position + 1 is what the worker says it has begun. */
inline begin() {
    load(WORKER, WORD + top, seen);
    if
    :: seen != CALL -> seen = 0; goto nothing
    :: else
    fi;
    store(WORKER, BEGUN, top + 1, RELAXED);
#ifndef NO_FENCE_WORKER
    is_drained(WORKER);
#endif
#ifndef NO_SECOND_LOOK
    load(WORKER, WORD + top, seen);
    if
    :: seen != CALL -> seen = 0; store(WORKER, BEGUN, top, RELAXED); goto again
    :: else -> seen = 0
    fi;
#else
    seen = 0;
#endif
}

proctype Worker() {
    byte top, seen, i, number;
    {
        skip;
again:
        begin();
        atomic {
            load(WORKER, PAYLOAD + top, number);
            assert(number != 0 && number == is_at[top] && !ran[number]);
            ran[number] = true;
            number = 0;
            top++
        };
        goto again;
nothing:
        store(WORKER, ASLEEP, 1, RELAXED);
#ifndef NO_FENCE_SLEEP
        is_drained(WORKER);
#endif
        do
        :: load(WORKER, ASLEEP, seen);
            if
            :: seen == 0 -> break
            :: else -> seen = 0
            fi;
            load(WORKER, WORD + top, seen);
            if
            :: seen != NOTHING -> break
            :: else
            fi;
            /* The kernel looks at the word and puts to sleep in one step, which is a fence as well. */
            atomic {
                is_drained(WORKER);
                if
                :: memory[ASLEEP] == 1 -> sleeps = true
                :: else
                fi
            };
end_asleep:
            !sleeps
        od;
        seen = 0;
        store(WORKER, ASLEEP, 0, RELAXED);
        goto again
    } unless {
        is_dead
    }
}

inline push(number) {
    store(PARENT, PAYLOAD + bottom, number, RELAXED);
    is_at[bottom] = number;
    load(PARENT, WORD + bottom + 1, seen);
    if
    :: seen != NOTHING -> store(PARENT, WORD + bottom + 1, NOTHING, RELAXED)
    :: else
    fi;
    seen = 0;
#ifdef RELAXED_PUBLISH
    store(PARENT, WORD + bottom, CALL, RELAXED);
#else
    store(PARENT, WORD + bottom, CALL, RELEASE);
#endif
    bottom++;
    d_step {
        if :: furthest < bottom -> furthest = bottom :: else fi
    };
    /* wake_child */
#ifndef NO_FENCE_WAKE
    is_drained(PARENT);
#endif
    load(PARENT, ASLEEP, seen);
    if
    :: seen != 0 ->
        seen = 0;
        atomic {
            is_drained(PARENT);
            seen = memory[ASLEEP];
            memory[ASLEEP] = 0
        };
        if
        :: seen != 0 -> seen = 0; sleeps = false
        :: else
        fi
    :: else
    fi
}

#ifdef FURTHEST_BOTTOM
#define most bottom
#else
#define most furthest
#endif

/* Goes on at `kept` if the worker has begun it. */
inline take_back(position) {
    load(PARENT, BEGUN, seen);
    if
    :: seen > position && seen <= most -> seen = 0; goto kept
    :: else -> seen = 0
    fi;
    store(PARENT, WORD + position, WITHHELD, RELAXED);
#ifndef NO_FENCE_PARENT
    is_drained(PARENT);
#endif
#ifndef NO_LOOK_BACK
    load(PARENT, BEGUN, seen);
    if
    :: seen > position && seen <= most ->
        seen = 0;
        store(PARENT, WORD + position, CALL, RELEASE);
        goto kept
    :: else -> seen = 0
    fi;
#endif
    /* Decided: from here on it is the parent's, and may go anywhere. */
    atomic {
        assert(!ran[is_at[position]]);
        got_back[is_at[position]] = true;
        is_at[position] = 0
    };
    store(PARENT, WORD + position, NOTHING, RELAXED);
    bottom = position
}

proctype Parent() {
    byte bottom, furthest, takes, seen, number, i, unrun;
    bool got_back[RECORDS + 1];
    i = 1;
    do
    :: i <= RECORDS -> got_back[i] = true; i++
    :: else -> i = 0; break
    od;
    do
    :: bottom < RECORDS ->
        /* Any task that it has. */
        atomic {
            if
            :: got_back[1] -> number = 1
#if RECORDS > 1
            :: got_back[2] -> number = 2
#endif
#if RECORDS > 2
            :: got_back[3] -> number = 3
#endif
            fi;
            got_back[number] = false
        };
        push(number);
        number = 0
    :: takes < TAKES && bottom > 0 && is_at[bottom - 1] != 0 ->
        takes++;
        take_back(bottom - 1);
kept:
        skip
    :: bottom == RECORDS -> break
    od;
    is_over = true;
#if DEATHS > 0
    if
    :: is_dead = true
    :: true
    fi;
#endif
    timeout;
    atomic {
        i = 0;
        do
        :: i < RECORDS ->
            if
            :: !is_dead -> assert(is_at[i] != 0 && ran[is_at[i]])
            :: else ->
                if
                :: memory[BEGUN] <= i -> assert(!ran[is_at[i]])
                :: memory[BEGUN] > i && !ran[is_at[i]] -> unrun++
                :: else
                fi
            fi;
            i++
        :: else -> break
        od;
        assert(unrun <= 1)
    }
}

#if DEATHS > 0
proctype Killer() {
    is_dead = true
}
#endif

init {
    atomic {
        run Memory(WORKER);
        run Memory(PARENT);
        run Worker();
#if DEATHS > 0
        run Killer();
#endif
        run Parent()
    }
}
