// Sockets as POSIX systems have them.
#include "network/sockets.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <mutex>
#include <utility>
#include <vector>

namespace multiproc::network {
namespace {

void set(int socket, int level, int option, int value) noexcept {
    ::setsockopt(socket, level, option, &value, sizeof value);
}

class SignalsBlocked {
public:
    SignalsBlocked() noexcept {
        sigset_t all;
        sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

private:
    sigset_t before_{};
};

// The sockets that copies of this process let go of. There is no copy while somebody is at them.
std::mutex mutex;
std::vector<int>* sockets = nullptr;  // never destroyed: threads may still close sockets while the program ends

void before_fork() { mutex.lock(); }
void after_fork_here() { mutex.unlock(); }
void after_fork_there() {
    if (sockets != nullptr) {
        for (const int socket : *sockets) ::close(socket);
        sockets->clear();
    }
    mutex.unlock();
}

// When the program is loaded, before there is a second thread.
[[maybe_unused]] const int is_prepared = ::pthread_atfork(&before_fork, &after_fork_here, &after_fork_there);

}  // namespace

void keep_from_children(NativeSocket socket) {
    const int flags = ::fcntl(socket, F_GETFD);
    if (flags != -1) ::fcntl(socket, F_SETFD, flags | FD_CLOEXEC);
    const std::lock_guard guard(mutex);
    if (sockets == nullptr) sockets = new std::vector<int>();
    if (std::find(sockets->begin(), sockets->end(), socket) == sockets->end()) sockets->push_back(socket);
}

void forget_socket(NativeSocket socket) noexcept {
    ::shutdown(socket, SHUT_RDWR);
    const std::lock_guard guard(mutex);
    if (sockets != nullptr) std::erase(*sockets, socket);
}

void claim_address(NativeSocket socket) noexcept { set(socket, SOL_SOCKET, SO_REUSEADDR, 1); }

void watch_for_lost_peer(NativeSocket socket) noexcept {
    // 60 seconds of silence, then 6 probes, one every 10 seconds.
    set(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
#if defined(TCP_KEEPIDLE)
    set(socket, IPPROTO_TCP, TCP_KEEPIDLE, 60);
#elif defined(TCP_KEEPALIVE)
    set(socket, IPPROTO_TCP, TCP_KEEPALIVE, 60);
#endif
#if defined(TCP_KEEPINTVL) && defined(TCP_KEEPCNT)
    set(socket, IPPROTO_TCP, TCP_KEEPINTVL, 10);
    set(socket, IPPROTO_TCP, TCP_KEEPCNT, 6);
#endif
#if defined(TCP_USER_TIMEOUT)
    // There are no probes while something that was sent is not acknowledged.
    set(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, 120'000);
#endif
}

std::uint32_t this_process() noexcept { return static_cast<std::uint32_t>(::getpid()); }

std::thread start_thread(std::function<void()> body) {
    const SignalsBlocked blocked;  // the new thread inherits that
    return std::thread(std::move(body));
}

}  // namespace multiproc::network
