// What passes between a ManagerService and a RemoteManager, over a connection for each thread that calls.
//
// A connection begins with the number of the client. Then the client asks, and every question but `release` has an answer.
// It asks nothing else before it has that, but may say that it does not want it any more (`give_up`). The answer names the managed objects that it brings. These are kept for the client until it has released them as often as they
// were brought, or all its connections are gone.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <multiproc/network.hpp>

namespace multiproc::network {

using ClientNumber = std::array<std::uint64_t, 2>;  // random

struct Question {
    enum class Kind : std::uint8_t { hello, get, call, release, give_up };
    Kind kind = Kind::hello;
    ClientNumber client = {};  // hello
    std::string name = {};     // get: under which it is published, and ...
    std::string type = {};     // ... the type that it is taken for
    std::uint64_t object = 0;  // call, release
    std::uint64_t times = 0;   // release: how often it was brought
    std::vector<std::byte> call = {};
};

struct Reply {
    std::vector<std::uint64_t> objects = {};
    std::vector<std::byte> answer = {};  // as a manager's server gives it
};

using ClientConnection = RemoteConnection<Reply, Question>;
using ServiceConnection = RemoteConnection<Question, Reply>;

}  // namespace multiproc::network
