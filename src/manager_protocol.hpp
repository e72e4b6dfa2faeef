// What passes between a manager's server and its clients.
//
// A client's thread that makes its first call opens a session: it makes two lanes and the two ends of a pipe, and puts them
// into the lane at which the server accepts. From then on one thread of the server answers that thread of the client, so
// a call that waits holds up nobody else, and a call costs two wake-ups. Each side is told of the other's end as the ends
// of a pipe are, and both also look at the process table, since who would tell them may have died as well.
#pragma once

#include <chrono>
#include <cstdint>

#include <multiproc/detail/queue_core.hpp>
#include <multiproc/pipe.hpp>

#include "runtime.hpp"

namespace multiproc {

// Messages one way.
class ManagerLane final : public detail::QueueCore {
public:
    ManagerLane() : ManagerLane(detail::OfObject{}, make(0, 0)) {}
    void put(const OutputBuffer& message) const { put_message(message, {}); }
    // False if nothing came in time, or nothing is left and the end of a pipe that is called `sender` is gone.
    bool get(detail::QueueMessage& message, Timeout timeout, std::uint64_t sender = 0) const {
        return get_message(message, {true, timeout}, sender);
    }

private:
    friend struct detail::HandleAccess;
    ManagerLane(detail::OfObject, detail::ObjectRef object) noexcept : QueueCore(std::move(object)) {}
};

// How often who waits for the other side looks whether its process is still there.
inline constexpr auto look_interval = std::chrono::milliseconds(200);

// Where a server is found. Plain data, so that every proxy's object in the arena can say it.
struct ManagerAddress {
    std::uint64_t accepting;  // the lane: a Ref
    std::uint64_t server;     // a Runtime::ProcessRef
};

// What a managed object is in the arena: it is held by the proxies, and when nobody does any more, the server destroys the
// real one.
struct ManagedObject {
    ManagerAddress manager;
    std::uint64_t type;  // hash of its class's name
};

// The first byte in the accepting lane. A greeting goes on with the two lanes, the client's end's
// name and process, and the server's end.
enum class Knock : std::uint8_t { greeting, stop };
// In front of each call. Object 0 is the server: it runs a task.
struct CallHead {
    std::uint64_t object;
    std::uint32_t method;
};
// A whole message, in the place of a call: its sender does not want the answer to the one before any more. No object has
// that number. It has no answer.
inline constexpr std::uint64_t give_up = UINT64_MAX;
// The first byte of each answer.
enum class Answer : std::uint8_t { result, error };

inline std::uint64_t type_hash(const std::type_info& type) noexcept {
    std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
    for (const char* name = type.name(); *name != '\0'; ++name)
        hash = (hash ^ static_cast<unsigned char>(*name)) * 0x100000001b3;
    return hash;
}

}  // namespace multiproc

namespace multiproc::detail::codec {
template <>
struct Coder<ManagerLane> : HandleCoder<ManagerLane> {};
}  // namespace multiproc::detail::codec
