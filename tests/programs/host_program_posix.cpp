// Hosts that treat their children and descriptors in their own way. Arguments: the mode, the start method, and a file
// for what it finds, since some of them have no stdout.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <multiproc/multiproc.hpp>

namespace {

namespace mp = multiproc;

int square(int x) { return x * x; }
void sleep_long() { std::this_thread::sleep_for(std::chrono::hours(1)); }
int nap(int x) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    return x;
}

void run_all(std::ostream& out) {
    {
        mp::Process p(square, 4);
        p.start();
        p.join();
        out << p.result() << ' ' << to_string(*p.exit_status()) << '\n';
    }
    {
        mp::Process p(nap, 3);
        p.start();
        out << p.result() << ' ' << to_string(*p.exit_status()) << '\n';
    }
    {
        mp::Process p(sleep_long);
        p.start();
        p.kill();
        p.join();
        out << to_string(*p.exit_status()) << '\n';
    }
    {
        mp::Process p(mp::ProcessOptions{.err = mp::Redirect::null()}, [] { throw std::out_of_range("thrown"); });
        p.start();
        try {
            p.result();
        } catch (const std::out_of_range& error) { out << error.what() << ' ' << to_string(*p.exit_status()) << '\n'; }
    }
    mp::Pool pool({.workers = 2});
    for (const int result : pool.map(square, std::vector{1, 2, 3})) out << result << ' ';
    out << '\n';
}

template <class F>
void expect_closed(std::ostream& out, const char* what, F f) {
    try {
        f();
        out << what << " did something in the copy\n";
    } catch (const mp::ClosedError&) {}
}

// The host makes a copy of itself while children run.
void fork_by_hand(std::ostream& out, const std::string& path) {
    mp::Process running(nap, 7), unstarted(square, 2), ended(square, 3);
    running.start();
    ended.start();
    ended.join();
    const mp::Sentinel sentinel = running.sentinel();
    auto* const doomed = new mp::Process(nap, 8);
    doomed->start();
    out.flush();
    const pid_t copy = ::fork();
    if (copy == 0) {
        std::ofstream found(path, std::ios::app);
        expect_closed(found, "join", [&] { running.join(); });
        expect_closed(found, "start", [&] { unstarted.start(); });
        expect_closed(found, "kill", [&] { running.kill(); });
        expect_closed(found, "is_alive", [&] { running.is_alive(); });
        expect_closed(found, "result", [&] { ended.result(); });
        expect_closed(found, "close", [&] { running.close(); });
        if (!mp::active_children().empty()) found << "the copy has children\n";
        delete doomed;  // nothing must happen to its process
        // The copy is a program of its own.
        run_all(found);
        found.flush();
        std::exit(9);  // runs what is registered for the end of a program: for the original's end
    }
    int status = 0;
    ::waitpid(copy, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 9) out << "the copy ended with " << status << '\n';
    if (running.result() != 7 || doomed->result() != 8 || ended.result() != 9) out << "the original was disturbed\n";
    delete doomed;
    unstarted.start();
    if (unstarted.result() != 4) out << "the original was disturbed\n";
}

}  // namespace

int main(int argc, char** argv) {
    mp::freeze_support();
    if (argc < 4) return 2;
    const std::string mode = argv[1];
    const std::string path = argv[3];
    mp::set_start_method(mp::start_method_from(argv[2]));
    std::ofstream out(path, std::ios::app);
    std::atomic<bool> stop = false;
    std::thread reaper;
    if (mode == "ignores_sigchld") {
        ::signal(SIGCHLD, SIG_IGN);
    } else if (mode == "reaps_all") {
        reaper = std::thread([&stop] {
            while (!stop) {
                int status = 0;
                if (::waitpid(-1, &status, WNOHANG) <= 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
            }
        });
    } else if (mode == "closed_all") {
        out.close();  // so that it gets none of these numbers
        for (int fd = 0; fd < 64; ++fd) ::close(fd);
        // The file is opened again once the library has run.
        run_all(out);
        std::ofstream again(path, std::ios::app);
        run_all(again);
        return 0;
    } else if (mode == "forks") {
        fork_by_hand(out, path);
        return 0;
    }
    run_all(out);
    stop = true;
    if (reaper.joinable()) reaper.join();
    return 0;
}
