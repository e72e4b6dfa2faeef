// A program in a terminal of its own, at which a test can type.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include <multiproc/exit_status.hpp>

namespace multiproc::test {

class Terminal {
public:
    // Starts the program as a shell would in the foreground of the terminal.
    explicit Terminal(std::vector<std::string> command) {
        master_ = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (master_ < 0 || ::grantpt(master_) != 0 || ::unlockpt(master_) != 0)
            throw std::runtime_error("no terminal can be made");
        const std::string name = ::ptsname(master_);
        // Kept open, as by a shell: else the terminal is gone with the program.
        slave_ = ::open(name.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC);
        std::vector<char*> arguments;
        for (std::string& argument : command) arguments.push_back(argument.data());
        arguments.push_back(nullptr);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::setsid();
            ::ioctl(slave_, TIOCSCTTY, 0);
            for (const int stream : {0, 1, 2}) ::dup2(slave_, stream);
            ::execv(arguments[0], arguments.data());
            ::_exit(127);
        }
    }
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;
    ~Terminal() {
        if (!is_over_) {
            ::kill(-pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
        ::close(slave_);
        ::close(master_);
    }

    pid_t pid() const noexcept { return pid_; }
    void type(char key) const {
        if (::write(master_, &key, 1) != 1) throw std::runtime_error("the terminal takes no key");
    }
    // What it has shown, read on until `end` is in it. Throws after a minute.
    const std::string& read_until(const std::string& end) {
        const auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes(1);
        while (shown_.find(end) == std::string::npos) {
            if (std::chrono::steady_clock::now() > give_up)
                throw std::runtime_error("the terminal does not show \"" + end + "\", but: " + shown_);
            read_for(std::chrono::milliseconds(100));
        }
        return shown_;
    }
    // The program's end, and all that was shown.
    ExitStatus finish(std::string& shown) {
        int state = 0;
        for (const auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes(1);
             ::waitpid(pid_, &state, WNOHANG) == 0;) {
            if (std::chrono::steady_clock::now() > give_up) throw std::runtime_error("the program does not end");
            read_for(std::chrono::milliseconds(10));
        }
        is_over_ = true;
        while (read_for(std::chrono::milliseconds(0))) {}
        shown = shown_;
        return WIFEXITED(state) ? ExitStatus::exited(static_cast<std::uint32_t>(WEXITSTATUS(state)))
                                : ExitStatus::signalled(static_cast<std::uint32_t>(WTERMSIG(state)));
    }
    // Its settings, as one text.
    std::string settings() const {
        termios now{};
        ::tcgetattr(slave_, &now);
        std::string text = std::to_string(now.c_iflag) + " " + std::to_string(now.c_oflag) + " " +
                           std::to_string(now.c_cflag) + " " + std::to_string(now.c_lflag);
        for (const cc_t key : now.c_cc) text += " " + std::to_string(key);
        return text;
    }

private:
    bool read_for(std::chrono::milliseconds patience) {
        pollfd what{master_, POLLIN, 0};
        if (::poll(&what, 1, static_cast<int>(patience.count())) <= 0) return false;
        char block[512];
        const ssize_t count = ::read(master_, block, sizeof block);
        if (count <= 0) return false;
        shown_.append(block, static_cast<std::size_t>(count));
        return true;
    }

    int master_ = -1, slave_ = -1;
    pid_t pid_ = -1;
    bool is_over_ = false;
    std::string shown_;
};

}  // namespace multiproc::test
