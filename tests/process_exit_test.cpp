// How a child leaves: when its function returns, whatever else it does, with its streams flushed.
#include <chrono>
#include <cstdio>
#include <iostream>
#include <string>
#include <thread>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"
#include "support/temporary.hpp"

namespace {

using namespace std::chrono_literals;
namespace mp = multiproc;
using mp::test::read_file;

using ProcessExit = mp::test::EachStartMethod;

int return_beside_a_thread() {
    std::thread([] { std::this_thread::sleep_for(1h); }).detach();
    return 3;
}

TEST_F(ProcessExit, a_child_ends_when_its_function_returns_whatever_its_other_threads_do) {
    mp::Process p(return_beside_a_thread);
    p.start();
    ASSERT_TRUE(p.join_for(1min));
    EXPECT_EQ(p.result(), 3);
    EXPECT_EQ(p.exit_status(), mp::ExitStatus::exited(0));
}

// Neither line is ended, so nothing flushes them but the child's end.
void write_both() {
    std::printf("by C");
    std::cout << ", by C++";
    std::clog << "to the log";
}

TEST_F(ProcessExit, a_child_flushes_its_streams) {
    const mp::test::TemporaryDirectory directory;
    const std::string out = directory.file("out"), err = directory.file("err");
    mp::Process p(mp::ProcessOptions{.out = mp::Redirect::file(out), .err = mp::Redirect::file(err)}, write_both);
    p.start();
    p.join();
    EXPECT_EQ(read_file(out), "by C, by C++");
    EXPECT_EQ(read_file(err), "to the log");
}

int write_to_closed_streams() {
    std::fclose(stdout);
    std::fclose(stderr);
    std::cout << "nobody reads this" << std::endl;
    std::cerr << "nor this" << std::endl;
    return 4;
}

TEST_F(ProcessExit, closed_stdout_and_stderr_do_not_break_a_childs_exit) {
    mp::Process p(write_to_closed_streams);
    p.start();
    EXPECT_EQ(p.result(), 4);
    EXPECT_EQ(p.exit_status(), mp::ExitStatus::exited(0));
}

void throw_with_closed_streams() {
    std::fclose(stdout);
    std::fclose(stderr);
    throw std::runtime_error("unheard");
}

TEST_F(ProcessExit, an_error_arrives_though_stderr_is_closed) {
    mp::Process p(throw_with_closed_streams);
    p.start();
    EXPECT_THROW(p.result(), std::runtime_error);
    EXPECT_EQ(p.exit_status(), mp::ExitStatus::exited(1));
}

int first_character_of_input() { return std::getchar(); }

TEST_F(ProcessExit, the_childs_stdin_is_empty) {
    mp::Process p(first_character_of_input);
    p.start();
    EXPECT_EQ(p.result(), EOF);
}

void register_exit_functions(const std::string& path) {
    mp::at_worker_exit([path] { std::ofstream(path, std::ios::app) << "first "; });
    mp::at_worker_exit([path] {
        std::ofstream(path, std::ios::app) << "second ";
        throw std::runtime_error("an exit function's error");
    });
    mp::at_worker_exit([path] { std::ofstream(path, std::ios::app) << "third "; });
}

TEST_F(ProcessExit, at_worker_exit_functions_run_the_last_first) {
    const mp::test::TemporaryDirectory directory;
    const std::string path = directory.file("order"), err = directory.file("err");
    mp::Process p(mp::ProcessOptions{.err = mp::Redirect::file(err)}, register_exit_functions, path);
    p.start();
    p.join();
    EXPECT_EQ(p.exit_status(), mp::ExitStatus::exited(0));
    EXPECT_EQ(read_file(path), "third second first ");
    EXPECT_NE(read_file(err).find("an exit function's error"), std::string::npos) << read_file(err);
}

int value_of_a_global = 1;
int read_global() { return value_of_a_global; }

TEST_F(ProcessExit, what_a_child_changes_stays_there) {
    mp::Process p([] { return ++value_of_a_global; });
    p.start();
    EXPECT_EQ(p.result(), 2);
    EXPECT_EQ(value_of_a_global, 1);
    mp::Process q(read_global);
    q.start();
    EXPECT_EQ(q.result(), 1);
}

}  // namespace
