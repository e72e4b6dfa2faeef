#include <fcntl.h>

#include <string>

#include "descriptors.hpp"

namespace multiproc::os {

Handle open_output(const std::string& path, bool append) {
    const char* name = path.empty() ? "/dev/null" : path.c_str();
    const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC);
    posix::DescriptorLock lock;
    return lock.own(posix::retry([&] { return ::open(name, flags, 0666); }),
                    ("cannot open " + std::string(name)).c_str());
}

}  // namespace multiproc::os
