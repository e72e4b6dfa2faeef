// Bytes and descriptors over local sockets.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "descriptors.hpp"

namespace multiproc::os::posix {

// How many descriptors one message can carry (Linux's SCM_MAX_FD).
inline constexpr std::size_t max_descriptors = 253;

// Sends all `size` bytes, with `descriptors` attached to the first. Returns 0 or the error number; EAGAIN only for a
// socket or call that does not block, and then nothing was sent (the rest of a message that was begun is waited for).
int send_all(int socket, const void* bytes, std::size_t size, std::span<const int> descriptors = {},
             int flags = 0) noexcept;

struct Received {
    std::size_t size = 0;  // 0: the peer is gone
    int error = 0;         // EMFILE when descriptors were lost because this process may have no more
    std::vector<Handle> descriptors;
};

// One receive of up to `size` bytes and the descriptors that came with them.
Received receive_some(int socket, void* bytes, std::size_t size, int flags = 0);

// Receives exactly `size` bytes, waiting for them. False when the peer is gone first.
bool receive_all(int socket, void* bytes, std::size_t size, std::vector<Handle>& descriptors);

}  // namespace multiproc::os::posix
