// A test that knows the fork server.
#pragma once

#include <signal.h>
#include <unistd.h>

#include <cstdint>

#include <multiproc/multiproc.hpp>

#include "each_start_method.hpp"

namespace multiproc::test {

class WithForkServer : public EachStartMethod {
protected:
    void SetUp() override {
        EachStartMethod::SetUp();
        set_start_method(StartMethod::forkserver);
        server_ = server();
        ASSERT_GT(server_, 1);
        allow(1, 12);  // where another method is tested the server is new
    }
    static pid_t server() {
        Process p([] { return static_cast<std::int64_t>(::getppid()); });
        p.start();
        return static_cast<pid_t>(p.result());
    }
    // Kills it and waits until it is gone with all its threads (a sanitizer may have given it some): before that it can
    // still be the parent of a child.
    void kill_server() const {
        ::kill(server_, SIGKILL);
        EXPECT_TRUE(holds_soon([this] { return ::kill(server_, 0) != 0; }));
    }

    pid_t server_ = 0;
};

}  // namespace multiproc::test
