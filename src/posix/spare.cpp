#include "spare.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <exception>
#include <tuple>

#include "die_here.hpp"
#include "messages.hpp"

namespace multiproc::os::posix {

namespace {

bool take_baton(const Handle& baton) noexcept {
    char byte = 0;
    return retry([&] { return ::read(fd_of(baton), &byte, 1); }) == 1;
}

}  // namespace

SpareLine::SpareLine() {
    std::tie(clients, childs) = make_socket_pair(SOCK_STREAM);
    Handle writer;
    std::tie(baton, writer) = make_pipe();
    ::fcntl(fd_of(baton), F_SETFL, O_NONBLOCK);  // who comes second does not wait
    if (::write(fd_of(writer), "b", 1) != 1) fail("write");
}

ReceivedRequest await_use(const Handle& line, const Handle& baton) {
    pollfd entry{fd_of(line), POLLIN, 0};
    const int patience = static_cast<int>(spare_patience.count());
    if (retry([&] { return ::poll(&entry, 1, patience); }) == 0 && take_baton(baton)) {
        die_here(DeathPoint::spare_leaves);
        exit_now(0);
    }
    // There is a request, or will be as soon as who took the baton has sent it; or else the end of the line.
    ReceivedRequest request;
    try {
        if (!receive_all(fd_of(line), &request.header, sizeof request.header, request.descriptors)) exit_now(0);
        if (request.header.context_size > largest_context) exit_now(1);
        request.context.resize(request.header.context_size);
        if (!receive_all(fd_of(line), request.context.data(), request.context.size(), request.descriptors)) exit_now(0);
    } catch (const std::exception&) { exit_now(1); }
    return request;
}

bool SpareOffer::take() const noexcept {
    if (!line || !baton || !take_baton(baton)) return false;
    // Whether it was killed meanwhile.
    pollfd entry{fd_of(line), POLLIN, 0};
    return retry([&] { return ::poll(&entry, 1, 0); }) == 0;
}

}  // namespace multiproc::os::posix
