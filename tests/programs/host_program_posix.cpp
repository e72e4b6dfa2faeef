// Hosts that treat their children and descriptors in their own way. Arguments: the mode, the start method, and a file
// for what it finds, since some of them have no stdout.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sys/syscall.h>
#endif

#include <multiproc/multiproc.hpp>

#include "support/gate.hpp"

namespace {

namespace mp = multiproc;

// As a program whose static objects have threads of their own.
struct ThreadBeforeMain {
    ThreadBeforeMain() {
        if (std::getenv("MULTIPROC_TEST_THREAD_BEFORE_MAIN") != nullptr)
            std::thread([] { std::this_thread::sleep_for(std::chrono::hours(1)); }).detach();
    }
} thread_before_main;

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

}  // namespace

// A leak check at the end of a copy made by fork looks for threads that only the original has.
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }

namespace {

// What such a host does is a race with whoever uses the descriptor, and ThreadSanitizer says so unless it cannot see it.
void close_behind_everybodys_back(int fd) {
#if defined(__linux__)
    ::syscall(SYS_close, fd);
#else
    ::close(fd);
#endif
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

std::string put_when_told(const mp::Queue<int>& go, const mp::Queue<mp::SharedArray<int>>& arrays) {
    go.get();
    try {
        arrays.put(mp::SharedArray<int>(10));
        return "nothing";
    } catch (const std::system_error& error) { return error.what(); }
}

// What a child hears that puts an array into a queue once the host, which would have to keep it, has closed all its
// descriptors; a copy that the host has made of itself has them still.
void put_after_closing(const std::string& path) {
    const mp::Queue<int> go;
    const mp::Queue<mp::SharedArray<int>> arrays;
    const mp::Queue<std::string> heard;
    mp::Process child(
        [](mp::Queue<int> told, mp::Queue<mp::SharedArray<int>> to, mp::Queue<std::string> says) {
            says.put("begun");
            says.put(put_when_told(told, to));
        },
        go, arrays, heard);
    child.start();
    heard.get();
    const pid_t copy = ::fork();
    if (copy == 0) {
        for (;;) ::pause();
    }
    for (int fd = 3; fd < 256; ++fd) close_behind_everybodys_back(fd);
    go.put(1);
    std::ofstream(path, std::ios::app) << heard.get() << '\n';
    ::kill(copy, SIGKILL);
    std::_Exit(0);  // see below
}

// Processor time of this process, in milliseconds.
long used_time() {
    timespec used{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return used.tv_sec * 1000 + used.tv_nsec / 1'000'000;
}

// What becomes of children that run while the host does something to its own descriptors.
template <class F>
void disturb_while_children_run(std::ostream& out, const std::string& path, F disturb) {
    std::vector<mp::Process<void>> running;
    for (int i = 0; i < 12; ++i) {
        running.emplace_back(
            [](const std::string& arrived) {
                std::ofstream(arrived).put('.');
                std::this_thread::sleep_for(std::chrono::seconds(1));
            },
            path + std::to_string(i));
    }
    for (auto& process : running) process.start();
    for (int i = 0; i < 12; ++i) multiproc::test::Gate::await(path + std::to_string(i));
    const long before = used_time();
    disturb();
    int early = 0;
    for (auto& process : running) {
        if (process.join_for(std::chrono::milliseconds(1)) && ::kill(static_cast<pid_t>(process.pid()), 0) == 0)
            ++early;
    }
    for (auto& process : running) process.join();
    int right = 0;
    for (auto& process : running) right += process.exit_status() == mp::ExitStatus::exited(0) ? 1 : 0;
    out << early << " ended early, " << right << " right, " << (used_time() - before < 500 ? "at rest" : "busy")
        << '\n';
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
    if (mode == "breaks_stderr") {
        int ends[2];
        if (::pipe(ends) != 0 || ::dup2(ends[1], STDERR_FILENO) < 0) return 3;
        for (const int end : ends) close_behind_everybodys_back(end);
    } else if (mode == "ignores_sigchld") {
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
        for (int fd = 0; fd < 64; ++fd) close_behind_everybodys_back(fd);
        // The file is opened again once the library has run.
        run_all(out);
        std::ofstream again(path, std::ios::app);
        run_all(again);
        return 0;
    } else if (mode == "closes_while_children_run") {
        out.close();
        std::ostringstream found;
        disturb_while_children_run(found, path, [] {
            for (int fd = 3; fd < 256; ++fd) close_behind_everybodys_back(fd);
        });
        std::ofstream(path, std::ios::app) << found.str();
        std::_Exit(0);  // objects that own closed descriptors are not to close those that have their numbers now
    } else if (mode == "closes_while_arrays_travel") {
        out.close();
        put_after_closing(path);
    } else if (mode == "lowers_limit_while_children_run") {
        rlimit limit{};
        ::getrlimit(RLIMIT_NOFILE, &limit);
        disturb_while_children_run(out, path, [&] {
            const rlimit low{4, limit.rlim_max};
            ::setrlimit(RLIMIT_NOFILE, &low);
        });
        ::setrlimit(RLIMIT_NOFILE, &limit);
    } else if (mode == "lacks_descriptors_at_first") {
        rlimit limit{};
        ::getrlimit(RLIMIT_NOFILE, &limit);
        const rlimit low{static_cast<rlim_t>(out.is_open() ? 4 : 3), limit.rlim_max};
        ::setrlimit(RLIMIT_NOFILE, &low);
        try {
            mp::Process p(square, 4);
            p.start();
            out << "started\n";
        } catch (const mp::Error&) { out << "an error\n"; } catch (const std::system_error&) {
            out << "an error\n";
        }
        ::setrlimit(RLIMIT_NOFILE, &limit);
    } else if (mode == "forks") {
        fork_by_hand(out, path);
        return 0;
    }
    run_all(out);
    stop = true;
    if (reaper.joinable()) reaper.join();
    return 0;
}
