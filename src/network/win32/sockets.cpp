// Sockets as Windows has them.
#include "network/sockets.hpp"

#include <mstcpip.h>

#include <utility>

namespace multiproc::network {

void keep_from_children(NativeSocket socket) {
    ::SetHandleInformation(reinterpret_cast<HANDLE>(socket), HANDLE_FLAG_INHERIT, 0);
}

void forget_socket(NativeSocket) noexcept {}

void claim_address(NativeSocket socket) noexcept {
    // SO_REUSEADDR means something else here: another program could take the port from a listener that has it.
    const BOOL yes = TRUE;
    ::setsockopt(socket, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, reinterpret_cast<const char*>(&yes), sizeof yes);
}

void watch_for_lost_peer(NativeSocket socket) noexcept {
    // Milliseconds: 60 seconds of silence, then ten probes (a number that cannot be chosen), one every 6 seconds.
    tcp_keepalive settings{1, 60'000, 6'000};
    DWORD ignored = 0;
    ::WSAIoctl(socket, SIO_KEEPALIVE_VALS, &settings, sizeof settings, nullptr, 0, &ignored, nullptr, nullptr);
}

std::uint32_t this_process() noexcept { return ::GetCurrentProcessId(); }

std::thread start_thread(std::function<void()> body) { return std::thread(std::move(body)); }

}  // namespace multiproc::network
