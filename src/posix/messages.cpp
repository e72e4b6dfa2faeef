#include "messages.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <exception>

namespace multiproc::os::posix {

namespace {

#if defined(__APPLE__)
constexpr int no_signal = 0;  // SO_NOSIGPIPE is set on the socket
constexpr int close_on_exec = 0;
#else
constexpr int no_signal = MSG_NOSIGNAL;
constexpr int close_on_exec = MSG_CMSG_CLOEXEC;
#endif

struct ControlBuffer {
    alignas(cmsghdr) unsigned char bytes[CMSG_SPACE(max_descriptors * sizeof(int))];
};

}  // namespace

int send_all(int socket, const void* bytes, std::size_t size, std::span<const int> descriptors, int flags) noexcept {
    const auto* next = static_cast<const unsigned char*>(bytes);
    ControlBuffer control;
    bool begun = false;
    while (size != 0) {
        iovec part{const_cast<unsigned char*>(next), size};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        if (!begun && !descriptors.empty()) {
            const std::size_t length = descriptors.size() * sizeof(int);
            std::memset(control.bytes, 0, CMSG_SPACE(length));
            message.msg_control = control.bytes;
            message.msg_controllen = static_cast<decltype(message.msg_controllen)>(CMSG_SPACE(length));
            cmsghdr* const header = CMSG_FIRSTHDR(&message);
            header->cmsg_level = SOL_SOCKET;
            header->cmsg_type = SCM_RIGHTS;
            header->cmsg_len = static_cast<decltype(header->cmsg_len)>(CMSG_LEN(length));
            std::memcpy(CMSG_DATA(header), descriptors.data(), length);
        }
        const ssize_t sent = retry([&] { return ::sendmsg(socket, &message, flags | no_signal); });
        if (sent < 0) {
            if (!begun || (errno != EAGAIN && errno != EWOULDBLOCK)) return errno;
            pollfd entry{socket, POLLOUT, 0};
            if (retry([&] { return ::poll(&entry, 1, -1); }) < 0) return errno;
            continue;
        }
        begun = true;
        next += sent;
        size -= static_cast<std::size_t>(sent);
    }
    return 0;
}

Received receive_some(int socket, void* bytes, std::size_t size, int flags) {
    iovec part{bytes, size};
    ControlBuffer control;
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    Received result;
    result.descriptors.reserve(max_descriptors);  // a handle must not be destroyed while the lock is held
    // The lock is not held while waiting: a call that may block first waits until there is something.
    if ((flags & MSG_DONTWAIT) == 0) {
        pollfd entry{socket, POLLIN, 0};
        retry([&] { return ::poll(&entry, 1, -1); });
    }
    std::vector<int> raw;
    raw.reserve(max_descriptors);
    {
        DescriptorLock lock;
        const ssize_t count = retry([&] { return ::recvmsg(socket, &message, flags | close_on_exec); });
        if (count < 0) {
            result.error = errno;
            return result;
        }
        result.size = static_cast<std::size_t>(count);
        for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
            if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
            const std::size_t amount = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            const std::size_t before = raw.size();
            raw.resize(before + amount);
            std::memcpy(raw.data() + before, CMSG_DATA(header), amount * sizeof(int));
        }
        if ((message.msg_flags & MSG_CTRUNC) != 0) result.error = EMFILE;
        for (const int fd : raw) {
            try {
                result.descriptors.push_back(close_on_exec != 0 ? lock.own(fd, "recvmsg")
                                                                : lock.own_and_close_on_exec(fd, "recvmsg"));
            } catch (const std::exception&) { result.error = EMFILE; }
        }
    }
    return result;
}

bool receive_all(int socket, void* bytes, std::size_t size, std::vector<Handle>& descriptors) {
    auto* next = static_cast<unsigned char*>(bytes);
    while (size != 0) {
        Received part = receive_some(socket, next, size);
        if (part.size == 0) return false;
        for (Handle& handle : part.descriptors) descriptors.push_back(std::move(handle));
        next += part.size;
        size -= part.size;
    }
    return true;
}

}  // namespace multiproc::os::posix
