// Of a JoinableQueue: that all which was put in is done with.
#include <multiproc/detail/queue_core.hpp>

#include <atomic>
#include <cstdint>

#include "deadline.hpp"
#include "die_here.hpp"
#include "interrupt.hpp"
#include "queue_open.hpp"

namespace multiproc::detail {
namespace {

// Whether something is unfinished: it is in the queue, or it was taken and is not done with. There is no one word that
// says both, as a process could be killed between a change of the queue and one of the word. Instead: the ring is empty
// at its head; then no slot of it is in use, so all that was taken counts in `unfinished`; then that is 0; and at the
// head is nothing still, so nothing was put in meanwhile. So when `unfinished` was 0, all was done. (In the rings before
// this one is nothing in use, see `may_close`, and nothing is put there any more, as they are closed.)
bool is_unfinished(QueueState& queue, QueueClient& client) {
    const QueueClient::Use use(client);
    for (;;) {
        QueueRing& ring = client.get_ring();
        const QueueRing::Claim seen = ring.look();
        switch (seen.result) {
            case QueueRing::Result::closed: client.next_get_ring(ring); continue;
            case QueueRing::Result::done: return true;
            case QueueRing::Result::busy:
                if (ring.clear_away(seen, abandon_into(client.arena))) continue;
                return true;
            case QueueRing::Result::no: break;
        }
        // What was lost with a process that died while it took it is done with.
        ring.clear_all_away(abandon_into(client.arena));
        if (ring.is_in_use()) return true;
        if (ring.next.load(std::memory_order_acquire) != 0) {
            if (ring.close(seen)) client.next_get_ring(ring);
            continue;
        }
        if (queue.unfinished.load(std::memory_order_seq_cst) != 0) return true;
        if (QueueRing::is_unchanged(seen)) return false;
    }
}

}  // namespace

bool QueueCore::done() const {
    const Opened opened = open_queue(object());
    QueueState& queue = opened.queue;
    std::int64_t seen = queue.unfinished.load(std::memory_order_seq_cst);
    do {
        if (seen <= 0 && seen + static_cast<std::int64_t>(size()) <= 0) return false;
    } while (!queue.unfinished.compare_exchange_weak(seen, seen - 1, std::memory_order_seq_cst));
    die_here(DeathPoint::task_counted_done);
    if (seen == 1 && queue.joiners.has_waiters()) {
        const QueueClient::Use use(opened.client);
        const QueueRing::Result result = opened.client.get_ring().look().result;
        if (result == QueueRing::Result::no || result == QueueRing::Result::closed) queue.joiners.wake_all();
    }
    return true;
}

bool QueueCore::await_done(std::optional<Timeout> timeout) const {
    const Opened opened = open_queue(object());
    const os::Deadline deadline = deadline_or_never(timeout);
    const auto is_open = [&] { return is_unfinished(opened.queue, opened.client); };
    while (is_open()) {
        if (is_over(deadline)) {
            throw_if_interrupted();
            return false;
        }
        opened.queue.joiners.wait(deadline, is_open);
    }
    return true;
}

}  // namespace multiproc::detail
