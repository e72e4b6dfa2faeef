// A pipe by which threads wake one that sleeps in poll.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tuple>

#include "descriptors.hpp"

namespace multiproc::os::posix {

class WakePipe {
public:
    // Throws std::system_error.
    WakePipe() {
        std::tie(reader_, writer_) = make_pipe();
        for (const int end : {fd_of(reader_), fd_of(writer_)}) ::fcntl(end, F_SETFL, O_NONBLOCK);
        struct stat facts {};
        ::fstat(fd_of(reader_), &facts);
        device_ = facts.st_dev;
        number_ = facts.st_ino;
    }

    // What the program put in its place is the program's to close.
    ~WakePipe() {
        if (!leads_to_pipe(fd_of(reader_))) reader_.release();
        if (!leads_to_pipe(fd_of(writer_))) writer_.release();
    }
    WakePipe(const WakePipe&) = delete;
    WakePipe& operator=(const WakePipe&) = delete;

    // Ready for reading once woken.
    int fd() const noexcept { return fd_of(reader_); }
    // False once the program has closed it behind our back: whoever sleeps must then look up by the clock.
    bool is_intact() const noexcept { return leads_to_pipe(fd_of(reader_)) && leads_to_pipe(fd_of(writer_)); }

    void wake() noexcept {
        // The program may have closed it and have another file under this number, whose contents are not ours to touch.
        if (!leads_to_pipe(fd_of(writer_))) return;
        const char byte = 0;
        // A full pipe has woken the thread already.
        (void)retry([&] { return ::write(fd_of(writer_), &byte, 1); });
    }
    // Takes back what woke.
    void drain() noexcept {
        char bytes[256];
        while (retry([&] { return ::read(fd_of(reader_), bytes, sizeof bytes); }) > 0) {}
    }
    // In a copy of the process.
    void close() noexcept {
        reader_.reset();
        writer_.reset();
    }

private:
    bool leads_to_pipe(int fd) const noexcept {
        struct stat facts {};
        return ::fstat(fd, &facts) == 0 && facts.st_dev == device_ && facts.st_ino == number_;
    }

    Handle reader_, writer_;
    dev_t device_ = 0;
    ino_t number_ = 0;
};

}  // namespace multiproc::os::posix
