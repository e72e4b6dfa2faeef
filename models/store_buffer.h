/* Memory whose stores become visible late and out of order, for the models whose argument rests on fences.
 *
 * Each processor has a buffer of stores. One of them becomes visible at any time; a release only after all before it, and
 * stores to one place in their order; other stores pass each other, and a release that is before them. So this is weaker
 * than x86 (where they come in their order) and, as far as stores go, as weak as ARMv8. Loads are not reordered with each
 * other: those that matter are acquires or follow a fence. An exchange and a fence wait until the own buffer is empty.
 *
 * To be defined before: PROCESSORS, PLACES, and BUFFER, the stores that fit into a buffer; `i` is a local byte of who
 * uses this, 0 in between.
 */
typedef Store {
    byte place;
    byte value;
    bool is_release
};
typedef Buffer {
    Store entry[BUFFER];
    byte size
};
Buffer buffer[PROCESSORS];
byte memory[PLACES];

#define RELAXED false
#define RELEASE true

inline store(processor, where, what, order) {
    atomic {
        buffer[processor].size < BUFFER ->
        buffer[processor].entry[buffer[processor].size].place = where;
        buffer[processor].entry[buffer[processor].size].value = what;
        buffer[processor].entry[buffer[processor].size].is_release = order;
        buffer[processor].size++
    }
}

/* The own stores are seen at once. */
inline load(processor, where, what) {
    d_step {
        what = memory[where];
        i = 0;
        do
        :: i < buffer[processor].size ->
            if
            :: buffer[processor].entry[i].place == where -> what = buffer[processor].entry[i].value
            :: else
            fi;
            i++
        :: else -> i = 0; break
        od
    }
}

#define is_drained(processor) (buffer[processor].size == 0)

/* Whether the entry may become visible before those in front of it. */
#define passes(processor, k, before) (buffer[processor].entry[before].place != buffer[processor].entry[k].place)

inline make_visible(processor, k) {
    d_step {
        memory[buffer[processor].entry[k].place] = buffer[processor].entry[k].value;
        i = k;
        do
        :: i + 1 < buffer[processor].size ->
            buffer[processor].entry[i].place = buffer[processor].entry[i + 1].place;
            buffer[processor].entry[i].value = buffer[processor].entry[i + 1].value;
            buffer[processor].entry[i].is_release = buffer[processor].entry[i + 1].is_release;
            i++
        :: else -> break
        od;
        buffer[processor].size--;
        buffer[processor].entry[buffer[processor].size].place = 0;
        buffer[processor].entry[buffer[processor].size].value = 0;
        buffer[processor].entry[buffer[processor].size].is_release = false;
        i = 0
    }
}

proctype Memory(byte processor) {
    byte i;
end_quiet:
    do
    :: atomic { buffer[processor].size > 0 -> make_visible(processor, 0) }
#ifndef TSO
    :: atomic {
        buffer[processor].size > 1 && !buffer[processor].entry[1].is_release && passes(processor, 1, 0) ->
        make_visible(processor, 1)
       }
#if BUFFER > 2
    :: atomic {
        buffer[processor].size > 2 && !buffer[processor].entry[2].is_release && passes(processor, 2, 0) &&
        passes(processor, 2, 1) -> make_visible(processor, 2)
       }
#endif
#endif
    od
}
