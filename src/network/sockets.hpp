// What the network part needs of a system beside Asio and cryptography; both back ends implement it.
#pragma once

#include <cstdint>
#include <functional>
#include <thread>

#include "asio.hpp"

namespace multiproc::network {

using NativeSocket = asio::detail::socket_type;  // int or SOCKET

// From here on no program that this one starts gets the socket, by whatever means it is started, and no copy of this
// process, made by fork, keeps it. Asio opens sockets that anybody inherits. Throws std::bad_alloc.
void keep_from_children(NativeSocket socket);
// Before closing it: its number will soon be another's. The end of what it is connected to, or listens for, is told to
// the system first, in case that somebody has a copy nevertheless.
void forget_socket(NativeSocket socket) noexcept;

// Before binding: the port can be had again right after another listener has left it, but not while it has it.
void claim_address(NativeSocket socket) noexcept;

// The system probes the peer when nothing has been heard for a while, and ends the connection without answers.
void watch_for_lost_peer(NativeSocket socket) noexcept;

// In a copy of the process made by fork another than in the original.
std::uint32_t this_process() noexcept;

// A thread that takes none of the program's signals. Throws std::system_error.
std::thread start_thread(std::function<void()> body);

}  // namespace multiproc::network
