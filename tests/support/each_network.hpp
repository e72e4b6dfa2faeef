// The fixture of tests of connections: as EachStartMethod, after a first connection, which brings to life what the
// system keeps for all.
#pragma once

#include <future>

#include <multiproc/multiproc.hpp>
#include <multiproc/network.hpp>

#include "each_start_method.hpp"

namespace multiproc::test {

// Both ends of a connection in this process.
template <class In, class Out>
struct BothEnds {
    RemoteConnection<In, Out> here;
    RemoteConnection<Out, In> there;
};

template <class In, class Out = In>
BothEnds<In, Out> connect_to(const Listener& listener, const AuthKey& key,
                             std::size_t max_message = default_max_message) {
    auto there = std::async(std::launch::async, [&] {
        return connect<Out, In>({.port = listener.port(), .key = key, .max_message = max_message});
    });
    auto here = listener.accept<In, Out>(std::chrono::seconds(60));
    return {std::move(here), there.get()};
}

class EachNetwork : public EachStartMethod {
protected:
    void SetUp() override {
        {
            const Listener listener({.key = key});
            const auto [here, there] = connect_to<int>(listener, key);
            there.send(1);
            here.recv();
        }
        EachStartMethod::SetUp();
    }

    AuthKey key = AuthKey::random();
};

}  // namespace multiproc::test
