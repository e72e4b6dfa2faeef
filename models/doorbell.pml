/* The doorbell of a pool: workers send results, the parent looks at the rings or sleeps.
 *
 * Of src/doorbell.hpp, src/ring.hpp, src/channel.*, src/pool_wait.cpp, pool_pump.cpp and result_writer.cpp:
 *   ring           Doorbell::ring, wake
 *   announce       Doorbell::announce
 *   Worker         ResultWriter: reserve, and while there is no room ring and Channel::sleep_child; push; tell
 *   drain          PoolEngine::drain, ResultRingParent::peek and pop, Channel::wake_child; `pump` for all workers
 *   Waiter         PoolEngine::wait_until with look_until_news (without spinning), then hand_over and brief_service
 *   Service        PoolEngine::serve_locked (without `rest`)
 *   tell_exit      what the exit watch does when a worker has died: `has_exits_`, wake_waiter, wake_service
 * with stores that become visible late and out of order (store_buffer.h). A ring of ROOM results is told by how many were
 * sent and how many taken, each a place that one side writes, as the word of the next record and ResultRingHeader::head.
 * The pool's mutex is `is_locked`. The waiter wants WANTED results and then leaves the rest to the service thread.
 * `longest_sleep` is not modelled: it must not be needed.
 *
 * Modes are those of DoorbellPage; WAITS_AS and SERVES_AS say which are announced. With DEATHS a worker may die at any
 * step.
 *
 * Checked, when all stand still: the waiter has what it wants, unless who should have sent it is dead; no worker waits for
 * room; and if the service thread serves any result, all that was sent has been taken.
 *
 * Mutants: NO_FENCE_RING, NO_FENCE_ANNOUNCE, NO_FENCE_WAKE, NO_FENCE_SLEEP, NO_SECOND_LOOK (sleeps without a look after the
 * announcement), LATE_TICKET (which is taken after that look), NO_BRIEF (who leaves announces nothing for the service
 * thread), NO_EXIT (nobody tells of a death; with DEATHS).
 *
 * check:
 * check: -DWAITS_AS=WAITER_LOW
 * check: -DSERVES_AS=SERVICE_STUCK -DRESULTS=3
 * check: -DWORKERS=2 -DRESULTS=1
 * check: -DDEATHS=1
 * mutant: -DNO_FENCE_RING
 * mutant: -DNO_FENCE_ANNOUNCE
 * mutant: -DNO_FENCE_WAKE
 * mutant: -DNO_FENCE_SLEEP
 * mutant: -DNO_SECOND_LOOK
 * mutant: -DLATE_TICKET
 * mutant: -DNO_BRIEF
 * mutant: -DNO_EXIT -DDEATHS=1
 */
#ifndef WORKERS
#define WORKERS 1
#endif
#ifndef RESULTS
#define RESULTS 2
#endif
#ifndef ROOM
#define ROOM 1
#endif
#ifndef WANTED
#define WANTED 1
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#define NOBODY 0
#define WAITER_LOW 1
#define WAITER 2
#define SERVICE_STUCK 3
#define SERVICE_LOW 4
#define SERVICE_ANY 5
#ifndef WAITS_AS
#define WAITS_AS WAITER
#endif
#ifndef SERVES_AS
#define SERVES_AS SERVICE_ANY
#endif

/* News. */
#define RESULT 0
#define LOW 1
#define STUCK 2

#define PROCESSORS (WORKERS + 2)
#define BUFFER 2
#define WAITING WORKERS
#define SERVING (WORKERS + 1)

#define MODE 0
#define WAITER_WORD 1
#define SERVICE_WORD 2
#define SENT 3
#define TAKEN (SENT + WORKERS)
#define ASLEEP (TAKEN + WORKERS)
#define PLACES (ASLEEP + WORKERS)

#include "store_buffer.h"

bool sleeps[PROCESSORS];
bool is_locked, waiter_present, service_asleep, has_exits;
byte service_armed;
byte received, taken[WORKERS];
bool is_buried[WORKERS], is_dead[WORKERS], wants_room[WORKERS], is_waiter_done;
byte deaths;

#define concerns(mode, news) (mode == WAITER || mode == SERVICE_ANY || ((mode == WAITER_LOW || mode == SERVICE_LOW) && news != RESULT) || (mode == SERVICE_STUCK && news == STUCK))

inline ring(news) {
#ifndef NO_FENCE_RING
    is_drained(self);
#endif
    load(self, MODE, seen);
    if
    :: concerns(seen, news) ->
        atomic {
            is_drained(self);
            if
            :: memory[MODE] == seen -> memory[MODE] = NOBODY
            :: else -> seen = NOBODY
            fi
        };
        if
        :: seen == NOBODY
        :: seen == WAITER || seen == WAITER_LOW -> memory[WAITER_WORD]++; sleeps[WAITING] = false
        :: else -> memory[SERVICE_WORD]++; sleeps[SERVING] = false
        fi
    :: else
    fi;
    seen = 0
}

proctype Worker(byte self) {
    byte sent, known, seen, i;
    {
        do
        :: sent < RESULTS ->
            do
            :: sent - known < ROOM -> break
            :: else ->
                load(self, TAKEN + self, known);
                if
                :: sent - known < ROOM -> break
                :: else
                fi;
                ring(STUCK);
                store(self, ASLEEP + self, 1, RELAXED);
#ifndef NO_FENCE_SLEEP
                is_drained(self);
#endif
                do
                :: load(self, ASLEEP + self, seen);
                    if
                    :: seen == 0 -> break
                    :: else -> seen = 0
                    fi;
                    load(self, TAKEN + self, known);
                    if
                    :: sent - known < ROOM -> break
                    :: else
                    fi;
                    wants_room[self] = true;
                    atomic {
                        is_drained(self);
                        if
                        :: memory[ASLEEP + self] == 1 -> sleeps[self] = true
                        :: else
                        fi
                    };
end_asleep:
                    !sleeps[self];
                    wants_room[self] = false
                od;
                seen = 0;
                store(self, ASLEEP + self, 0, RELAXED)
            od;
            sent++;
            store(self, SENT + self, sent, RELEASE);
            if
            :: sent == RESULTS -> ring(LOW)
            :: else -> ring(RESULT)
            fi
        :: else -> break
        od
    } unless {
        is_dead[self]
    }
}

inline look_for_news() {
    d_step {
        news = has_exits;
        w = 0
    };
    do
    :: w < WORKERS && !news ->
        load(self, SENT + w, seen);
        news = (seen != taken[w]);
        seen = 0;
        w++
    :: else -> w = 0; break
    od
}

inline announce(mode) {
    store(self, MODE, mode, RELAXED);
#ifndef NO_FENCE_ANNOUNCE
    is_drained(self);
#endif
}

/* The kernel looks at the word and puts to sleep in one step, which is a fence as well. */
inline park(word) {
    atomic {
        is_drained(self);
        is_locked = false;
        if
        :: memory[word] == ticket -> sleeps[self] = true
        :: else
        fi;
        ticket = 0
    };
}

#define lock() atomic { !is_locked -> is_locked = true }
#define unlock() atomic { is_drained(self); is_locked = false }

inline drain() {
    load(self, SENT + w, seen);
    if
    :: seen != taken[w] ->
        do
        :: seen != taken[w] ->
            taken[w]++;
            received++;
            store(self, TAKEN + w, taken[w], RELEASE);
            load(self, SENT + w, seen)
        :: else -> break
        od;
        seen = 0;
        if
        :: taken[w] < RESULTS ->
#ifndef NO_FENCE_WAKE
            is_drained(self);
#endif
            load(self, ASLEEP + w, seen);
            if
            :: seen != 0 ->
                atomic {
                    is_drained(self);
                    seen = memory[ASLEEP + w];
                    memory[ASLEEP + w] = 0
                };
                if
                :: seen != 0 -> seen = 0; sleeps[w] = false
                :: else
                fi
            :: else
            fi
        :: else
        fi
    :: else -> seen = 0
    fi
}

inline pump() {
    if
    :: has_exits -> has_exits = false
    :: else
    fi;
    do
    :: w < WORKERS ->
        drain();
        w++
    :: else -> w = 0; break
    od
}

inline brief_service() {
    do
    :: waiter_present || !service_asleep || service_armed >= SERVES_AS -> break
    :: else ->
        service_armed = SERVES_AS;
        announce(SERVES_AS);
        look_for_news();
        if
        :: !news -> break
        :: else -> news = false
        fi;
        pump()
    od
}

#define has_what_it_wants (received >= WANTED)
#if WORKERS > 1
#define is_anybody_buried (is_buried[0] || is_buried[1])
#else
#define is_anybody_buried (is_buried[0])
#endif

proctype Waiter() {
    byte ticket, seen, i, w;
    bool news;
    byte self = WAITING;
    lock();
    waiter_present = true;
    do
    :: has_what_it_wants || is_anybody_buried -> break
    :: else ->
#ifndef LATE_TICKET
        load(self, WAITER_WORD, ticket);
#endif
        announce(WAITS_AS);
        service_armed = NOBODY;
#ifndef NO_SECOND_LOOK
        look_for_news();
#endif
#ifdef LATE_TICKET
        load(self, WAITER_WORD, ticket);
#endif
        if
        :: news -> news = false; ticket = 0
        :: else ->
            park(WAITER_WORD);
end_asleep:
            !sleeps[self];
            lock()
        fi;
        pump()
    od;
    waiter_present = false;
#ifndef NO_BRIEF
    brief_service();
#endif
    is_waiter_done = true;
    unlock()
}

proctype Service() {
    byte ticket, seen, i, w;
    bool news;
    byte self = SERVING;
    lock();
    do
    :: load(self, SERVICE_WORD, ticket);
        if
        :: !waiter_present ->
            pump();
            service_armed = SERVES_AS;
            announce(SERVES_AS);
#ifndef NO_SECOND_LOOK
            look_for_news()
#endif
        :: waiter_present && has_exits -> has_exits = false; news = true
        :: else
        fi;
        if
        :: news -> news = false; ticket = 0
        :: else ->
            service_asleep = true;
            park(SERVICE_WORD);
end_asleep:
            !sleeps[self];
            lock();
            service_asleep = false;
            service_armed = NOBODY
        fi
    od
}

#if DEATHS > 0
proctype ExitWatch() {
    byte w;
    select(w : 0 .. WORKERS - 1);
    is_dead[w] = true;
    deaths++;
    is_drained(w);
    is_buried[w] = true;
#ifndef NO_EXIT
    has_exits = true;
    memory[WAITER_WORD]++;
    sleeps[WAITING] = false;
    memory[SERVICE_WORD]++;
    sleeps[SERVING] = false
#endif
}
#endif

init {
    byte i;
    atomic {
        i = 0;
        do
        :: i < PROCESSORS -> run Memory(i); i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < WORKERS -> run Worker(i); i++
        :: else -> break
        od;
        run Waiter();
        run Service();
#if DEATHS > 0
        run ExitWatch()
#endif
    };
    timeout;
    atomic {
        assert(is_waiter_done);
        i = 0;
        do
        :: i < WORKERS ->
            assert(is_dead[i] || !wants_room[i]);
            assert(SERVES_AS != SERVICE_ANY || taken[i] == memory[SENT + i]);
            i++
        :: else -> break
        od
    }
}
