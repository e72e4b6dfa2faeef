// A child forked ahead of the start that will use it, so that a program that starts one process after the other does not
// wait for each fork.
//
// A client that starts often asks its server for a spare child after each start. The server forks one as for that client:
// it watches the client's end, resets its signals, and waits at its "line", a socket whose other end the server hands to
// the client. That lies unread in the client's connection until the next start, which sends its request down the line
// instead of asking the server. Nothing of the request is known before: directory, environment, limits and streams are
// those of the requester at the time of its start, as ever.
//
// A spare child that nobody uses ends: with the client (which it watches, and which holds the line's other end), on any
// signal, and after `spare_patience`. Client and spare child both may take the baton, the one byte in a pipe that both
// have, and only one of them can: the client before it sends its request, the child before it leaves out of impatience.
// So no request is ever sent to a child that has made up its mind to leave, and a request that was sent makes it a child
// like any other: if it is killed from then on, the client learns that its child was killed.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "descriptors.hpp"
#include "fork_server.hpp"

namespace multiproc::os::posix {

// Two starts within this time make a spare child worth its fork, and so long does one wait.
inline constexpr std::chrono::milliseconds spare_patience{200};

// What the server makes before it forks, for both sides.
struct SpareLine {
    SpareLine();

    Handle clients, childs;
    Handle baton;  // lies ready in it
};

// A request as it arrived, with the descriptors that it attaches.
struct ReceivedRequest {
    RequestHeader header;
    std::string context;
    std::vector<Handle> descriptors;
};

// An answer as it arrived.
struct ReceivedReply {
    Reply reply;
    std::vector<Handle> attached;
};

// In a spare child: waits for its request. Ends the process when none comes.
ReceivedRequest await_use(const Handle& line, const Handle& baton);

// In the client: what the server offered.
struct SpareOffer {
    pid_t pid = 0;
    Handle line, baton;
    Handle end;  // its pidfd, if there is one

    // Whether the child is this client's now, to be used or let go by closing the line.
    bool take() const noexcept;
};

}  // namespace multiproc::os::posix
