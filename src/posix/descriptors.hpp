// Descriptors of the library: each is closed on exec, lies above the standard streams, and is known, so that a copy of
// this process made by `fork` can close those that are not its own.
#pragma once

#include <cerrno>
#include <mutex>
#include <utility>
#include <vector>

#include "../os.hpp"

namespace multiproc::os::posix {

[[noreturn]] void fail(const char* what, int error = errno);

// Repeats a call that a signal interrupted.
template <class Call>
auto retry(Call call) {
    decltype(call()) result{};
    do { result = call(); } while (result == -1 && errno == EINTR);
    return result;
}

inline int fd_of(RawHandle raw) noexcept { return static_cast<int>(raw); }
inline int fd_of(const Handle& handle) noexcept { return static_cast<int>(handle.raw()); }

// Held while descriptors are made and while this process is forked, so that no copy has one that it does not know.
class DescriptorLock {
public:
    DescriptorLock();

    // Takes the descriptor that a call just returned. Throws std::system_error naming `what` if it failed.
    Handle own(int fd, const char* what);
    // As `own`, for a system that has no flag to make it closed on exec in the same call.
    Handle own_and_close_on_exec(int fd, const char* what);

private:
    std::unique_lock<std::mutex> lock_;
};

// Two ends of a pipe: {for reading, for writing}.
std::pair<Handle, Handle> make_pipe();
// Two connected local sockets of type SOCK_STREAM or SOCK_DGRAM.
std::pair<Handle, Handle> make_socket_pair(int type);
// A copy whose number is at least `lowest`, closed on exec.
Handle duplicate_above(RawHandle raw, int lowest);
bool is_open(int fd) noexcept;
// A duplicate of `fd`, or the null device if that is not open.
Handle duplicate_or_null(RawHandle fd, int null_flags);
// The numbers of all open descriptors, as far as the system tells.
std::vector<int> open_descriptors();
// In a copy of a process that had one thread, and so none that could hold a lock: goes on with what that process knew of
// its descriptors, instead of copying it.
void keep_known_descriptors() noexcept;
// In the handler that fork calls in a copy, before anything else runs there: this one is closed.
void forget_in_copy(int fd) noexcept;
// In a copy made by `fork`: closes the library's descriptors but those in `kept`.
void close_known_except(const std::vector<int>& kept) noexcept;

}  // namespace multiproc::os::posix
