// What travels between a fork server and its clients. Both are the same executable, so structures travel as they are.
#pragma once

#include <cstdint>

namespace multiproc::os::posix {

// A client introduces itself through the door: the two sockets it made for requests and for statuses are attached.
struct Introduction {
    std::int32_t pid = 0;
};

enum class RequestKind : std::uint32_t { fork, signal };

// What a fork request attaches, in this order: parent, out, err, then those that the flags name, then the handles.
enum RequestFlags : std::uint32_t { has_directory = 1, has_lifeline = 2 };

struct RequestHeader {
    RequestKind kind = RequestKind::fork;
    std::uint32_t flags = 0;
    std::uint32_t descriptors = 0;
    std::uint32_t context_size = 0;  // of the context that follows
    std::int32_t pid = 0;            // signal: of the child
    std::int32_t signal = 0;
};

// The child's pidfd is attached, if there is one.
struct Reply {
    std::int32_t pid = 0;    // 0: not forked
    std::int32_t error = 0;  // why not; 0 with pid 0: the server has threads
};

}  // namespace multiproc::os::posix
