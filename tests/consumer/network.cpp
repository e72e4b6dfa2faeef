// What a project of its own does with multiproc::network: talks to itself.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include <multiproc/multiproc.hpp>
#include <multiproc/network.hpp>

void answer(multiproc::AuthKey key, std::uint16_t port) {
    const auto peer = multiproc::connect<std::string, std::size_t>({.port = port, .key = key});
    peer.send(peer.recv().size());
}

int main() {
    multiproc::freeze_support();

    const multiproc::AuthKey key = multiproc::AuthKey::random();
    const multiproc::Listener listener({.key = key});
    multiproc::Process process(answer, key, listener.port());
    process.start();
    const auto peer = listener.accept<std::size_t, std::string>();
    peer.send("four");
    return peer.recv() == 4 ? EXIT_SUCCESS : EXIT_FAILURE;
}
