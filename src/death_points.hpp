// The list of all places where a process can be made to die (die_here.hpp), and of what must come to each.
//
// A row is: the point's name, where it is come to, and the scenarios of tests/die_here that let somebody die there; more
// than one where both sides of something come to it. So a point without a test does not compile, and one that its
// scenarios do not come to fails. A new point is a row here and a call of `die_here`, and nothing else.
#pragma once

#include <cstdint>

namespace multiproc {

// Where a point is come to at all.
enum class DeathPlace : std::uint8_t {
    anywhere,
    posix,
    windows,
    forkserver,   // with this start method
    posix_spawn,  //
    fork,         //
};

// Who dies, doing what.
enum class DeathScenario : std::uint8_t {
    makes_objects,      // makes, holds and drops shared objects of all sizes
    is_one_of_many,     // the same in a process whose bit is in an overflow object
    buries,             // takes back what a child has left that had died in the middle of something
    puts,               // puts items of all kinds into queues
    gets,               // takes them out
    inherits_queue,     // finds slots of a dead child in a queue
    locks,              // takes and gives up locks
    inherits_lock,      // takes a lock whose owner has died
    waits,              // waits for semaphores, conditions and events
    wakes,              // wakes who waits for them
    meets,              // at a barrier
    works,              // is a pool's worker
    owns_pool,          // is the pool's parent
    is_started,         // a child that is just beginning, or ending
    starts,             // the parent of such children
    is_fork_server,     //
    calls_manager,      // is a client of a manager
    serves_as_manager,  //
};

// clang-format off
#define MULTIPROC_DEATH_POINTS(POINT) \
    /* arena.cpp */ \
    POINT(cell_taken, anywhere, makes_objects) \
    POINT(object_prepared, anywhere, makes_objects, is_one_of_many) \
    POINT(object_made, anywhere, makes_objects, is_one_of_many) \
    POINT(first_span_taken, anywhere, makes_objects) \
    POINT(next_span_taken, anywhere, makes_objects) \
    POINT(next_span_given_back, anywhere, makes_objects) \
    POINT(spans_given_back, anywhere, makes_objects) \
    POINT(span_laid_out, anywhere, makes_objects) \
    POINT(span_divided, anywhere, makes_objects) \
    POINT(large_cell_taken, anywhere, makes_objects) \
    POINT(large_span_announced, anywhere, makes_objects) \
    POINT(overflow_named, anywhere, is_one_of_many) \
    POINT(overflow_linked, anywhere, is_one_of_many) \
    POINT(overflow_live, anywhere, is_one_of_many) \
    POINT(hold_marked, anywhere, makes_objects, is_one_of_many, gets) \
    POINT(hold_counted, anywhere, makes_objects, is_one_of_many, gets) \
    POINT(hold_cleared, anywhere, makes_objects, is_one_of_many, puts, gets) \
    POINT(owner_marked, anywhere, puts) \
    POINT(clearing_begun, anywhere, makes_objects, is_one_of_many, gets) \
    POINT(object_cleared, anywhere, makes_objects, is_one_of_many, gets) \
    POINT(overflow_vacated, anywhere, is_one_of_many) \
    POINT(overflow_released, anywhere, makes_objects, is_one_of_many) \
    POINT(cell_vacated, anywhere, makes_objects, is_one_of_many, buries) \
    POINT(spans_taken_back, anywhere, makes_objects) \
    POINT(spans_discarded, anywhere, makes_objects) \
    /* arena_counting.cpp */ \
    POINT(count_up_intended, anywhere, puts) \
    POINT(count_changed, anywhere, puts, gets) \
    POINT(count_noted, anywhere, puts, gets) \
    POINT(count_settled, anywhere, puts, gets) \
    POINT(count_down_intended, anywhere, gets) \
    /* arena_sweep.cpp */ \
    POINT(swept_overflow_decided, anywhere, buries) \
    POINT(swept_cell_taken, anywhere, buries) \
    POINT(swept_spans_taken, anywhere, buries) \
    POINT(reclaimed_cell_taken, anywhere, makes_objects) \
    POINT(reclaimed_span_taken, anywhere, makes_objects) \
    POINT(reclaimed_span_discarded, anywhere, makes_objects) \
    POINT(reclaimed_cell_given_back, anywhere, makes_objects) \
    /* queue_ring.* */ \
    POINT(slot_claimed, anywhere, puts) \
    POINT(tail_advanced, anywhere, puts) \
    POINT(item_published, anywhere, puts) \
    POINT(item_taken, anywhere, gets) \
    POINT(head_advanced, anywhere, gets) \
    POINT(slot_freed, anywhere, gets) \
    POINT(ring_closed, anywhere, gets) \
    POINT(skipped_slot_freed, anywhere, inherits_queue) \
    POINT(hint_helped, anywhere, inherits_queue) \
    POINT(dead_slot_taken, anywhere, inherits_queue) \
    POINT(dead_slot_abandoned, anywhere, inherits_queue) \
    POINT(dead_slot_cleared, anywhere, inherits_queue) \
    /* queue_core.cpp */ \
    POINT(item_written, anywhere, puts) \
    POINT(item_read, anywhere, gets) \
    POINT(item_counted, anywhere, gets) \
    POINT(first_ring_named, anywhere, makes_objects) \
    POINT(parcel_held, anywhere, gets) \
    POINT(parcel_disowned, anywhere, gets) \
    /* queue_join.cpp, queue_client.hpp, queue_state.cpp, queue_message.cpp */ \
    POINT(task_counted_done, anywhere, gets) \
    POINT(ring_signed, anywhere, puts) \
    POINT(ring_linked, anywhere, puts) \
    POINT(last_ring_advanced, anywhere, puts) \
    POINT(last_ring_kept_up, anywhere, gets) \
    POINT(first_ring_advanced, anywhere, gets) \
    POINT(ring_gone_on_to, anywhere, gets) \
    POINT(previous_ring_released, anywhere, gets) \
    POINT(queue_ring_leaving, anywhere, makes_objects) \
    POINT(queue_ring_unnamed, anywhere, makes_objects) \
    POINT(queue_ring_released, anywhere, makes_objects) \
    POINT(unlinked_ring_found, anywhere, buries) \
    POINT(parcel_names_block, anywhere, puts) \
    POINT(slot_names_parcel, anywhere, puts) \
    /* block_store.cpp, handle_store.cpp */ \
    POINT(block_named, anywhere, puts) \
    POINT(block_kept, anywhere, puts) \
    POINT(block_placed, anywhere, puts) \
    POINT(block_fetched, anywhere, gets) \
    POINT(block_place_taken, anywhere, gets) \
    POINT(block_dropped, anywhere, gets) \
    POINT(store_asked, posix, puts, gets) \
    POINT(store_answer_got, posix, puts, gets) \
    /* wait_set.cpp */ \
    POINT(waiter_announced, anywhere, waits) \
    POINT(waiter_for_any_announced, anywhere, waits) \
    POINT(waiter_counted, anywhere, waits) \
    POINT(waiter_marked, anywhere, waits) \
    POINT(waiter_parking, anywhere, waits) \
    POINT(waiter_left, anywhere, waits) \
    POINT(waiter_for_any_left, anywhere, waits) \
    POINT(waiter_unmarked, anywhere, waits, wakes) \
    POINT(waiter_taken, anywhere, wakes) \
    POINT(waiter_told, anywhere, wakes) \
    POINT(waiter_woken, anywhere, wakes) \
    POINT(wake_up_underway, anywhere, puts) \
    /* lock_state.* */ \
    POINT(lock_word_changed, anywhere, locks, inherits_lock) \
    POINT(lock_released, anywhere, locks) \
    POINT(lock_depth_raised, anywhere, locks) \
    POINT(lock_depth_lowered, anywhere, locks) \
    POINT(lock_inherited, anywhere, inherits_lock) \
    POINT(lock_death_noted, anywhere, inherits_lock) \
    POINT(lock_made_consistent, anywhere, inherits_lock) \
    POINT(lock_depth_dropped, anywhere, waits) \
    POINT(lock_taken_again, anywhere, waits) \
    /* semaphore.cpp, condition.cpp, event.cpp, barrier.cpp, pipe.cpp */ \
    POINT(permit_taken, anywhere, waits) \
    POINT(permit_given_back, anywhere, wakes) \
    POINT(condition_was_awaited, anywhere, waits) \
    POINT(event_set, anywhere, wakes) \
    POINT(event_cleared, anywhere, wakes) \
    POINT(barrier_arrived, anywhere, meets) \
    POINT(barrier_acting, anywhere, meets) \
    POINT(barrier_ending, anywhere, meets) \
    POINT(barrier_round_ended, anywhere, meets) \
    POINT(barrier_broken, anywhere, meets) \
    POINT(barrier_reset_noted, anywhere, meets) \
    POINT(pipe_end_dropped, anywhere, makes_objects) \
    /* runtime.cpp */ \
    POINT(entry_taken, anywhere, starts) \
    POINT(entry_has_parent, anywhere, starts) \
    POINT(entry_has_life, anywhere, is_started) \
    POINT(entry_entered, anywhere, is_started) \
    POINT(object_about_to_be_lent, fork, starts) \
    POINT(object_lent, fork, starts) \
    POINT(arena_announced, anywhere, is_started) \
    POINT(parking_slot_taken, anywhere, starts) \
    POINT(burial_begun, anywhere, buries) \
    POINT(dead_waiter_removed, anywhere, buries) \
    POINT(dead_slot_given_back, anywhere, buries) \
    POINT(arena_swept, anywhere, buries) \
    POINT(burial_ending, anywhere, buries) \
    POINT(entry_vacated, anywhere, buries) \
    /* ring.hpp, doorbell.hpp, channel.* */ \
    POINT(record_written, anywhere, works, owns_pool, starts) \
    POINT(record_published, anywhere, works, owns_pool, starts) \
    POINT(task_ring_wrapped, anywhere, owns_pool) \
    POINT(task_withheld, anywhere, owns_pool) \
    POINT(task_taken_back, anywhere, owns_pool) \
    POINT(task_begun, anywhere, works) \
    POINT(task_is_mine, anywhere, works) \
    POINT(result_ring_wrapped, anywhere, works) \
    POINT(result_popped, anywhere, owns_pool) \
    POINT(bell_announced, anywhere, owns_pool) \
    POINT(bell_taken, anywhere, works) \
    POINT(bell_rung, anywhere, works) \
    POINT(child_falls_asleep, anywhere, works) \
    POINT(child_woken, anywhere, works) \
    POINT(child_about_to_be_woken, anywhere, owns_pool) \
    POINT(child_phase_told, anywhere, is_started, works) \
    POINT(child_exit_said, anywhere, is_started) \
    /* result_writer.cpp */ \
    POINT(call_has_time, anywhere, works) \
    POINT(call_announced, anywhere, works) \
    POINT(result_ring_full, anywhere, works) \
    POINT(result_begun, anywhere, works) \
    POINT(results_sent, anywhere, works) \
    POINT(single_result_complete, anywhere, works) \
    POINT(result_segment_in_use, anywhere, works) \
    POINT(result_segment_sent, anywhere, works) \
    POINT(result_lends_objects, anywhere, works) \
    POINT(result_blocks_sent, anywhere, works) \
    POINT(block_answered, anywhere, works) \
    /* segment_cache.cpp, block_transfer.cpp, handle_passing.cpp */ \
    POINT(segment_sent, anywhere, works, owns_pool) \
    POINT(segment_received, anywhere, works, owns_pool) \
    POINT(blocks_sent, anywhere, owns_pool) \
    POINT(blocks_attached, anywhere, owns_pool) \
    POINT(blocks_received, anywhere, works, owns_pool) \
    POINT(block_detached, anywhere, owns_pool) \
    POINT(handle_pushed, windows, works, owns_pool) \
    POINT(handles_sent, anywhere, works, owns_pool) \
    POINT(handles_received, anywhere, works, owns_pool) \
    /* child.cpp, launch.cpp, reentry.cpp */ \
    POINT(start_prepared, anywhere, starts) \
    POINT(task_defined, anywhere, starts, owns_pool) \
    POINT(call_sent, anywhere, starts, owns_pool) \
    POINT(start_has_call, anywhere, starts) \
    POINT(child_spawned, posix_spawn, starts) \
    POINT(child_forked, fork, starts) \
    POINT(start_launched, anywhere, starts, owns_pool) \
    POINT(start_connected, anywhere, starts) \
    POINT(stop_sent, anywhere, owns_pool) \
    POINT(end_learned, anywhere, starts, owns_pool) \
    POINT(copy_begins, fork, is_started) \
    POINT(child_is_there, anywhere, is_started) \
    POINT(child_has_channel, anywhere, is_started) \
    POINT(child_settled, anywhere, is_started) \
    /* fork_server*.cpp, spare.cpp */ \
    POINT(server_spawned, forkserver, starts) \
    POINT(server_knocked, forkserver, starts) \
    POINT(server_preload_sent, forkserver, owns_pool) \
    POINT(server_asked, forkserver, starts) \
    POINT(server_answer_got, forkserver, starts) \
    POINT(server_child_told_to_go, forkserver, starts) \
    POINT(spare_asked, forkserver, starts) \
    POINT(spare_taken, forkserver, starts) \
    POINT(spare_used, forkserver, starts) \
    POINT(server_visited, forkserver, is_fork_server) \
    POINT(server_got_request, forkserver, is_fork_server) \
    POINT(server_preloaded, forkserver, is_fork_server) \
    POINT(server_forked, forkserver, is_fork_server) \
    POINT(server_replied, forkserver, is_fork_server) \
    POINT(server_reaped, forkserver, is_fork_server) \
    POINT(server_told, forkserver, is_fork_server) \
    POINT(server_child_forked, forkserver, is_started) \
    POINT(spare_waits, forkserver, is_started) \
    POINT(spare_gets_used, forkserver, is_started) \
    POINT(spare_leaves, forkserver, is_started) \
    /* manager_client.cpp, manager_server.cpp */ \
    POINT(manager_session_made, anywhere, calls_manager) \
    POINT(manager_greeted, anywhere, calls_manager) \
    POINT(manager_called, anywhere, calls_manager) \
    POINT(manager_answer_got, anywhere, calls_manager) \
    POINT(manager_accepted, anywhere, serves_as_manager) \
    POINT(manager_call_got, anywhere, serves_as_manager) \
    POINT(manager_call_done, anywhere, serves_as_manager) \
    POINT(manager_answered, anywhere, serves_as_manager) \
    POINT(managed_object_made, anywhere, serves_as_manager) \
    POINT(manager_client_gone, anywhere, serves_as_manager) \
    POINT(managed_objects_collected, anywhere, serves_as_manager)
// clang-format on

}  // namespace multiproc
