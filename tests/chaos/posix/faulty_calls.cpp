// System calls that fail now and then, as when the system has no more of something, or a signal comes. The linker gives
// this program's and the library's calls of `mmap` to `__wrap_mmap`, and calls it `__real_mmap` what they would have
// reached (--wrap, see CMakeLists.txt). What other libraries call is not touched.
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>

#include "../faults.hpp"

namespace {

bool fails(int error) noexcept {
    if (!chaos::faults::call_fails()) return false;
    errno = error;
    return true;
}

}  // namespace

// NOLINTBEGIN(bugprone-reserved-identifier): the linker's names
extern "C" {
void* __real_mmap(void*, size_t, int, int, int, off_t);
void* __wrap_mmap(void* place, size_t size, int protection, int flags, int descriptor, off_t offset) {
    return fails(ENOMEM) ? MAP_FAILED : __real_mmap(place, size, protection, flags, descriptor, offset);
}

int __real_memfd_create(const char*, unsigned);
int __wrap_memfd_create(const char* name, unsigned flags) {
    return fails(EMFILE) ? -1 : __real_memfd_create(name, flags);
}

int __real_ftruncate(int, off_t);
int __wrap_ftruncate(int descriptor, off_t size) { return fails(ENOMEM) ? -1 : __real_ftruncate(descriptor, size); }

ssize_t __real_sendmsg(int, const msghdr*, int);
ssize_t __wrap_sendmsg(int socket, const msghdr* message, int flags) {
    if (fails(EINTR) || fails(ENOBUFS)) return -1;
    return __real_sendmsg(socket, message, flags);
}

ssize_t __real_recvmsg(int, msghdr*, int);
ssize_t __wrap_recvmsg(int socket, msghdr* message, int flags) {
    return fails(EINTR) ? -1 : __real_recvmsg(socket, message, flags);
}

int __real_poll(pollfd*, nfds_t, int);
int __wrap_poll(pollfd* all, nfds_t count, int timeout) { return fails(EINTR) ? -1 : __real_poll(all, count, timeout); }

int __real_pipe2(int*, int);
int __wrap_pipe2(int* ends, int flags) { return fails(EMFILE) ? -1 : __real_pipe2(ends, flags); }

int __real_eventfd(unsigned, int);
int __wrap_eventfd(unsigned initial, int flags) { return fails(ENFILE) ? -1 : __real_eventfd(initial, flags); }

int __real_socketpair(int, int, int, int*);
int __wrap_socketpair(int domain, int type, int protocol, int* ends) {
    return fails(EMFILE) ? -1 : __real_socketpair(domain, type, protocol, ends);
}

pid_t __real_fork();
pid_t __wrap_fork() { return fails(EAGAIN) ? -1 : __real_fork(); }

int __real_posix_spawn(pid_t*, const char*, const posix_spawn_file_actions_t*, const posix_spawnattr_t*, char* const*,
                       char* const*);
int __wrap_posix_spawn(pid_t* pid, const char* path, const posix_spawn_file_actions_t* actions,
                       const posix_spawnattr_t* attributes, char* const* arguments, char* const* environment) {
    if (chaos::faults::call_fails()) return EAGAIN;
    return __real_posix_spawn(pid, path, actions, attributes, arguments, environment);
}

int __real_pthread_create(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
int __wrap_pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*), void* argument) {
    if (chaos::faults::call_fails()) return EAGAIN;
    return __real_pthread_create(thread, attributes, run, argument);
}
}
// NOLINTEND(bugprone-reserved-identifier)
