// A process from a function, a process from a class with `run`, and waiting for it with and without a limit.
//
//     class Greeter(Process):
//         def __init__(self, who):
//             super().__init__()
//             self.who = who
//         def run(self):
//             return 'hello ' + self.who                   # which Python throws away
//
//     p = Process(target=greet, args=('function',))
//     g = Greeter('class')
//     for process in (p, g): process.start()
//     for process in (p, g): process.join()
//
//     w = Process(target=Event.wait, args=(event,))
//     w.start()
//     w.join(0.1)                                          # goes on after that, whether it has ended or not
//     event.set()
//     w.join()
#include <chrono>
#include <iostream>
#include <string>

#include <multiproc/multiproc.hpp>

namespace {

namespace mp = multiproc;

std::string greet(const std::string& who) { return "hello " + who; }

struct Greeter : mp::Runnable<Greeter> {
    std::string who;

    std::string run() { return greet(who); }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(who);  // the fields that travel to the process
    }
};

void wait_for(const mp::Event& event) { event.wait(); }

}  // namespace

int main() {
    mp::freeze_support();

    mp::Process function(greet, "function");
    Greeter greeter;
    greeter.who = "class";
    function.start();
    greeter.start();
    function.join();
    greeter.join();
    std::cout << function.result() << '\n' << greeter.result() << '\n';

    const mp::Event event;
    mp::Process waiting(wait_for, event);
    waiting.start();
    if (!waiting.join_for(std::chrono::milliseconds(100))) std::cout << "still waiting\n";
    event.set();
    waiting.join();
    std::cout << "exit code " << waiting.exit_status()->exit_code() << '\n';
}
