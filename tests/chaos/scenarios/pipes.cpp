// Conversations over pipes with processes that die in the middle of a word: what arrives is in order, and the end of the
// other side ends every wait.
#include <string>

#include <multiproc/multiproc.hpp>

#include "scenario.hpp"

namespace chaos {
namespace {

namespace mp = multiproc;
using Ends = mp::Connection<std::string, std::string>;

std::string message(std::uint32_t number, std::size_t size) {
    return std::to_string(number) + ":" + text_of(number, size);
}

void echo(Ends connection) {
    attempt("answering", [&] {
        try {
            for (;;) connection.send(connection.recv());
        } catch (const mp::EndOfFile&) {
        } catch (const mp::ClosedError&) {}  // the other end went while this one sent
    });
}

void talk(Random& random) {
    auto [here, there] = mp::pipe<std::string>();
    mp::Process<void> process(echo, there);
    there.close();
    process.start();
    const std::uint32_t count = random.about(300);
    std::string expected;
    try {
        for (std::uint32_t sent = 0, received = 0; received < count;) {
            // Some messages ahead.
            if (sent < count && sent - received < 8 && random.one_in(2)) {
                here.send(message(sent, sent % 31 == 30 ? 200'000 : sent % 1000));
                ++sent;
            } else if (received < sent) {
                expected = message(received, received % 31 == 30 ? 200'000 : received % 1000);
                if (here.recv() != expected) ledger().fail(Failure::wrong, 1, "a message is not what was sent");
                ++received;
                ledger().count(Operation::message);
            }
        }
    } catch (const mp::EndOfFile& error) { explain(error, "talking"); } catch (const mp::ClosedError&) {
        if (ledger().kills() == 0 && ledger().is_scarce.load() == 0)
            ledger().fail(Failure::wrong, 1, "the other end of a pipe is gone, and nobody died");
    }
    here.close();
    process.join();
}

}  // namespace

void run_pipes(Context& context) {
    while (!context.is_over()) attempt("talking", [&] { talk(context.random); });
}

}  // namespace chaos
