// From the object that stands for a queue to what one works on.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <multiproc/errors.hpp>

#include "queue_client.hpp"
#include "queue_state.hpp"
#include "shared_object.hpp"

namespace multiproc::detail {

// What a dead process was putting in or taking out.
inline auto abandon_into(Arena& arena) {
    return [&arena](QueueSlot& slot) {
        if (const std::uint64_t parcel = slot.parcel.load(std::memory_order_acquire); parcel != 0)
            arena.release_owned(Arena::Ref::unpack(parcel));
    };
}

inline QueueClient& client_of(SharedObject& object) {
    return static_cast<QueueClient&>(
        object.local_part([](Arena& arena, std::byte* state) -> std::unique_ptr<LocalPart> {
            return std::make_unique<QueueClient>(arena, queue_in(state));
        }));
}

// The client of an object that this process has itself, not as a copy of another.
struct Opened {
    QueueState& queue;
    QueueClient& client;
};
inline Opened open_queue(const ObjectRef& given) {
    if (!given->is_ours()) (void)state_of(*given);  // throws, if nothing is shared with the original
    QueueClient& client =
        client_of(given->is_ours() ? *given : *ObjectRegistry::get().adopt_copy(given->ref()));  // which stays
    if (client.is_closed.load(std::memory_order_relaxed)) throw ClosedError("multiproc: this queue is closed");
    return {client.state(), client};
}

}  // namespace multiproc::detail
