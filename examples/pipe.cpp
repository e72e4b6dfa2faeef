// A pipe between two processes: what one end sends, the other receives, whole and with its type.
//
//     def f(conn):
//         conn.send([42, None, 'hello'])
//         conn.close()
//
//     parent_conn, child_conn = Pipe()
//     p = Process(target=f, args=(child_conn,))
//     p.start()
//     print(parent_conn.recv())
//     p.join()
#include <iostream>
#include <optional>
#include <string>

#include <multiproc/multiproc.hpp>

namespace {

namespace mp = multiproc;

struct Message {
    int number = 0;
    std::optional<double> measured;
    std::string text;
};
using Connection = mp::Connection<Message, Message>;  // what it receives, and what it sends

void work(const Connection& parent) { parent.send({42, std::nullopt, "hello"}); }

}  // namespace

int main() {
    mp::freeze_support();

    auto [here, there] = mp::pipe<Message>();
    mp::Process process(work, there);
    there.close();  // leaves it to the process, whose end is then the end of all messages
    process.start();
    const Message message = here.recv();
    std::cout << message.number << ", " << (message.measured ? "measured" : "not measured") << ", " << message.text
              << '\n';
    try {
        here.recv();
    } catch (const mp::EndOfFile&) { std::cout << "and that was all\n"; }
    process.join();
}
