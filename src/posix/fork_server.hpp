// What travels between a fork server and its clients. Both are the same executable, so structures travel as they are.
#pragma once

#include <cstddef>
#include <cstdint>

namespace multiproc::os::posix {

// A client introduces itself through the door. The two sockets it made for requests and for statuses are attached, then,
// if it has a leash, its own pidfd and the leash's reading and writing end.
struct Introduction {
    std::int32_t pid = 0;
};

enum class RequestKind : std::uint32_t {
    fork,
    // For a child ahead of the next start, see spare.hpp. It attaches the client's own end. `pid` is the spare child that
    // the client has just used, or 0: from now on its end is told like any other's.
    spare,
    // To run what follows (see Launch::preload) before any later request is answered; no answer. It attaches out and err.
    preload,
    signal,
    leave,  // the client is done with the server for good
};

// What a fork request attaches, in this order: what lets the child go on, parent, out, err, then those that the flags
// name, then the handles. A request to a spare child begins with out.
enum RequestFlags : std::uint32_t { has_directory = 1, has_lifeline = 2, has_process_limit = 4 };

// Beyond what any system allows for an environment.
inline constexpr std::size_t largest_context = std::size_t(64) << 20;

struct RequestHeader {
    RequestKind kind = RequestKind::fork;
    std::uint32_t flags = 0;
    std::uint32_t descriptors = 0;
    std::uint32_t context_size = 0;  // of the context, or the preload, that follows
    std::int32_t pid = 0;            // signal: of the child; spare: see there
    std::int32_t signal = 0;
    std::uint64_t process_limit = 0;  // spare, if the flags say so: the client's
};

// A request for a child or a spare one is answered in its turn. Attached are, of a spare child, its line and its baton;
// then the child's pidfd, if there is one.
struct Reply {
    std::int32_t pid = 0;    // 0: not forked
    std::int32_t error = 0;  // why not; 0 with pid 0: the server has threads
};

}  // namespace multiproc::os::posix
