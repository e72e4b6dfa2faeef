#include <cerrno>
#include <fcntl.h>
#include <system_error>

#include "os.hpp"

namespace multiproc::os {

Handle open_output(const std::string& path, bool append) {
    const char* name = path.empty() ? "/dev/null" : path.c_str();
    const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC);
    int fd;
    do {
        fd = ::open(name, flags, 0666);
    } while (fd == -1 && errno == EINTR);
    if (fd == -1) throw std::system_error(errno, std::generic_category(), "multiproc: cannot open " + std::string(name));
    return Handle(fd);
}

}  // namespace multiproc::os
