/* The ring of a queue: many producers, many consumers, any of which may be killed at any instant.
 *
 * Of src/queue_ring.cpp and .hpp and what src/queue_core.cpp makes of them:
 *   claim      QueueRing::claim, with is_full_at where LIMIT is less than CAPACITY
 *   publish    QueueRing::publish, then wake_next
 *   take       QueueRing::take_or_look; the slots that are skipped are freed on the way
 *   free       QueueRing::free, then wake_next
 *   clear      QueueRing::clear_away, by whoever finds the slot of a dead process in its way
 *   look_*     QueueRing::has_room, has_news: whether it is worth to sleep
 *   Producer, Consumer   put_with, get_with and `repeat`: attempt, mark, look once more, sleep
 * One step is one access to shared memory. A slot's word is only changed by exchanges, so what matters of the memory
 * order is in the two hints: `advance` loads and then stores, and in between anything may happen to others.
 *
 * Who sleeps is woken by whoever frees or publishes after it has marked itself: all who are marked here, one after the
 * other in the library (wait_set.pml). When all stand still and somebody has died, the clock has all sleepers look again,
 * ROUNDS times for each death; where nobody dies there is no clock.
 *
 * Checked: each item arrives once; in the order of its producer; what was put is lost only with a consumer that has
 * died, one item each; nobody sleeps in the end who could go on.
 *
 * Mutants: NO_SWEEP (nobody clears away), BLIND_HINT (has_room takes an old hint for a full ring), BLIND_LIMIT (the
 * same of the head's hint), NO_SECOND_LOOK (sleeps without looking after it has marked itself), PLAIN_TAKE (the word is
 * stored, not exchanged).
 *
 * check:
 * check: -DLIMIT=1 -DPRODUCERS=1 -DCONSUMERS=2 -DITEMS=3
 * check: -DDEATHS=1 -DITEMS=1
 * check: -DDEATHS=1 -DPRODUCERS=1 -DCONSUMERS=2 -DITEMS=2
 * mutant: -DNO_SWEEP -DDEATHS=1 -DITEMS=1
 * mutant: -DBLIND_HINT
 * mutant: -DBLIND_LIMIT -DLIMIT=1 -DPRODUCERS=1 -DCONSUMERS=2 -DITEMS=3
 * mutant: -DNO_SECOND_LOOK
 * mutant: -DPLAIN_TAKE -DCONSUMERS=2 -DITEMS=1
 */
#ifndef CAPACITY
#define CAPACITY 2
#endif
#ifndef LIMIT
#define LIMIT CAPACITY
#endif
#ifndef PRODUCERS
#define PRODUCERS 2
#endif
#ifndef CONSUMERS
#define CONSUMERS 1
#endif
#ifndef ITEMS
#define ITEMS 2
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#define EVERYBODY (PRODUCERS + CONSUMERS)

#define FREE 0
#define WRITING 1
#define READY 2
#define TAKEN 3
#define SKIPPED 4

typedef Slot {
    byte lap;
    byte state;
    byte owner;
    byte item
};
Slot slot[CAPACITY];
byte tail, head;
#if LIMIT < CAPACITY
byte known_head;
#endif

bool sleeps[EVERYBODY]; /* marked in the set of waiters */
bool is_done[EVERYBODY];
bool is_dead[EVERYBODY];
byte deaths, dead_consumers, rounds;

/* For the checks. Item i of producer p is 1 + p * ITEMS + i. */
bool was_put[PRODUCERS * ITEMS + 1];
bool was_got[PRODUCERS * ITEMS + 1];
byte last_taken[PRODUCERS];

#define at(position) slot[(position) % CAPACITY]
#define lap(position) ((position) / CAPACITY)
#define see(position) d_step { lap_seen = at(position).lap; state_seen = at(position).state; owner_seen = at(position).owner }
#define is_as_seen(position) (at(position).lap == lap_seen && at(position).state == state_seen && at(position).owner == owner_seen)
#define set(position, new_lap, new_state, new_owner) at(position).lap = new_lap; at(position).state = new_state; at(position).owner = new_owner

/* What is not used any more is 0, as states that differ in it alone are the same. */
#define forget() lap_seen = 0; state_seen = 0; owner_seen = 0

inline help(place, from) {
    atomic { if :: place == from -> place = from + 1 :: else fi }
}

inline advance(place, from) {
    if
    :: place == from -> place = from + 1 /* two steps: a load and a store */
    :: else
    fi
}

/* What an attempt finds in its way; `position` and what was seen there. True: cleared, or somebody else has. */
inline clear(position) {
    cleared = false;
#ifndef NO_SWEEP
#if DEATHS > 0
    if
    :: (state_seen == WRITING || state_seen == TAKEN) && is_dead[owner_seen] ->
        atomic {
            cleared = true;
            if
            :: is_as_seen(position) -> at(position).owner = self
            :: else -> goto again
            fi
        };
        d_step {
            if
            :: state_seen == WRITING -> set(position, lap_seen, SKIPPED, 0)
            :: else -> set(position, lap_seen + 1, FREE, 0)
            fi
        }
    :: else
    fi
#endif
#endif
}

#define is_producer(id) ((id) < PRODUCERS)

inline wake(from, count) {
    d_step {
        i = from;
        do
        :: i < from + count -> sleeps[i] = false; i++
        :: else -> i = 0; break
        od
    }
}

proctype Producer(byte self) {
    byte position, first, number, lap_seen, state_seen, owner_seen, i;
    bool cleared, is_hopeless;
    {
        skip;
again:
        atomic { forget(); position = 0; first = 0; cleared = false };
        do
        :: number == ITEMS -> is_done[self] = true; goto over
        :: else ->
            position = tail;
            see(position);
            if
            :: lap_seen + 1 == lap(position) -> goto no_room
            :: lap_seen > lap(position) || (lap_seen == lap(position) && state_seen != FREE) ->
                help(tail, position);
                goto again
            :: else
            fi;
#if LIMIT < CAPACITY
            if
            :: position - known_head >= LIMIT ->
                first = head;
                do
                :: first > position -> break
                :: else ->
                    atomic {
                        if
                        :: first == position -> break
                        :: !((at(first).lap == lap(first) && at(first).state == TAKEN) || at(first).lap > lap(first)) -> break
                        :: else
                        fi
                    };
                    help(head, first);
                    first = head
                od;
                if
                :: first <= position ->
                    known_head = first;
                    if
                    :: position - first >= LIMIT ->
                        position = head;
                        see(position);
                        goto no_room
                    :: else
                    fi
                :: else
                fi
            :: else
            fi;
#endif
            atomic {
                if
                :: is_as_seen(position) -> set(position, lap(position), WRITING, self); forget()
                :: else -> goto again
                fi
            };
            advance(tail, position);
            at(position).item = 1 + self * ITEMS + number;
            d_step {
                set(position, lap(position), READY, 0);
                was_put[1 + self * ITEMS + number] = true;
                number++
            };
            wake(PRODUCERS, CONSUMERS);
            goto again;
no_room:
            clear(position);
            if
            :: cleared -> goto again
            :: else
            fi;
            d_step { sleeps[self] = true; forget(); position = 0; first = 0; is_hopeless = true };
#ifndef NO_SECOND_LOOK
            position = tail;
#if LIMIT < CAPACITY
            first = head;
            if
            :: position >= first && position - first >= LIMIT ->
#ifndef BLIND_LIMIT
                /* The hint may be behind. */
                see(first);
                if
                :: lap_seen > lap(first) || (lap_seen == lap(first) && state_seen == TAKEN) -> goto woken
                :: else
                fi;
#endif
                goto end_asleep
            :: else
            fi;
#endif
            see(position);
#ifdef BLIND_HINT
            is_hopeless = (lap_seen != lap(position));
#else
            is_hopeless = (lap_seen + 1 == lap(position));
#endif
#endif
            d_step { forget(); position = 0; first = 0 };
            if
            :: is_hopeless -> is_hopeless = false
            :: else -> is_hopeless = false; goto woken
            fi;
end_asleep:
            !sleeps[self];
woken:
            sleeps[self] = false
        od
    } unless {
        is_dead[self]
    };
over:
    skip
}

proctype Consumer(byte self) {
    byte position, lap_seen, state_seen, owner_seen, i, item;
    bool cleared, is_hopeless;
    {
        skip;
again:
        atomic { forget(); position = 0; cleared = false };
        position = head;
        see(position);
        if
        :: lap_seen + 1 == lap(position) -> goto nothing
        :: lap_seen > lap(position) -> help(head, position); goto again
        :: else
        fi;
        if
        :: state_seen == FREE || state_seen == WRITING -> goto nothing
        :: state_seen == SKIPPED ->
            atomic { if :: is_as_seen(position) -> set(position, lap(position) + 1, FREE, 0) :: else fi };
            help(head, position);
            goto again
        :: state_seen == TAKEN -> help(head, position); goto again
        :: state_seen == READY
        fi;
        atomic {
            if
#ifndef PLAIN_TAKE
            :: !is_as_seen(position) -> goto again
#endif
            :: else ->
                set(position, lap(position), TAKEN, self);
                item = at(position).item;
                assert(item > last_taken[(item - 1) / ITEMS]);
                last_taken[(item - 1) / ITEMS] = item;
                item = 0;
                forget()
            fi
        };
        advance(head, position);
        d_step {
            item = at(position).item;
            assert(!was_got[item]);
            was_got[item] = true;
            item = 0
        };
        d_step { set(position, lap(position) + 1, FREE, 0) };
        wake(0, PRODUCERS);
        goto again;
nothing:
        clear(position);
        if
        :: cleared -> goto again
        :: else
        fi;
        d_step { sleeps[self] = true; forget(); position = 0; is_hopeless = true };
#ifndef NO_SECOND_LOOK
        position = head;
        see(position);
        is_hopeless = (lap_seen + 1 == lap(position) ||
                       (lap_seen == lap(position) && (state_seen == FREE || state_seen == WRITING)));
#endif
        d_step { forget(); position = 0 };
        if
        :: is_hopeless ->
            is_hopeless = false;
end_asleep:
            !sleeps[self]
        :: else
        fi;
        is_hopeless = false;
        sleeps[self] = false;
        goto again
    } unless {
        is_dead[self]
    }
}

init {
    byte i, missing;
    atomic {
        i = 0;
        do
        :: i < PRODUCERS -> run Producer(i); i++
        :: i >= PRODUCERS && i < EVERYBODY -> run Consumer(i); i++
        :: i == EVERYBODY -> i = 0; break
        od
    };
    do
#if DEATHS > 0
    :: deaths < DEATHS ->
        select(i : 0 .. EVERYBODY - 1);
        skip;
        d_step {
            deaths++;
            if
            :: !is_done[i] -> /* else nobody */
                is_dead[i] = true;
                if :: i >= PRODUCERS -> dead_consumers++ :: else fi
            :: else
            fi
        }
#endif
    :: timeout ->
        if
        :: rounds < ROUNDS * deaths ->
            rounds++;
            wake(0, EVERYBODY)
        :: else -> break
        fi
    od;
    skip;
    d_step {
        i = 0;
        do
        :: i < PRODUCERS -> assert(is_done[i] || is_dead[i] || dead_consumers == CONSUMERS); i++
        :: else -> break
        od;
        i = 1;
        do
        :: i <= PRODUCERS * ITEMS ->
            if :: was_put[i] && !was_got[i] -> missing++ :: else fi;
            i++
        :: else -> break
        od;
        assert(missing <= dead_consumers || dead_consumers == CONSUMERS)
    }
}
