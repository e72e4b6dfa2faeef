// What a client of the fork server has sent and the server has not taken yet: bytes in which one request follows the
// other, and the descriptors that they attach.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "spare.hpp"

namespace multiproc::os::posix {

class RequestQueue {
public:
    void add(std::span<const unsigned char> bytes, std::vector<Handle> descriptors);
    // The next request, if it has arrived as a whole. It has fewer descriptors than its header says if the kernel has
    // dropped some; see is_complete. `is_sound` is false afterwards if what is there cannot be a request.
    std::optional<ReceivedRequest> next();
    bool is_sound() const noexcept { return sound_; }

private:
    std::vector<unsigned char> bytes_;
    std::size_t used_ = 0;  // of these
    std::deque<Handle> descriptors_;
    bool sound_ = true;
};

// Whether all came with a request that should; the kernel drops what this process may not have. `own`: how many of the
// first a spare child has already.
bool is_complete(const ReceivedRequest& request, std::size_t own) noexcept;

// What came as a server's answer to the request for a child, with the descriptors attached to it, or nothing if it
// cannot be one. A pid is only believed if it can be a child's: it will be sent signals.
std::optional<ReceivedReply> check_reply(const Reply& reply, std::vector<Handle> attached);

}  // namespace multiproc::os::posix
