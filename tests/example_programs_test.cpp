// The examples print what the Python that they stand for prints; above each test's expectation is the Python line.
#include <algorithm>
#include <cstdint>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"
#include "support/leftovers.hpp"
#include "support/run_program.hpp"

namespace {

namespace mp = multiproc;

class Examples : public mp::test::EachStartMethod {};

std::string path_of(const std::string& example) { return mp::test::program_path("example_" + example); }

// Text as Windows writes it, with the line ends of everybody else.
std::string unix_lines(std::string text) {
    std::erase(text, '\r');
    return text;
}

// What an example prints; it must end well and complain of nothing.
std::string output_of(const std::string& example, std::vector<std::string> args = {}) {
    const mp::test::ProgramResult result = mp::test::run_program(path_of(example), {.args = std::move(args)});
    EXPECT_FALSE(result.timed_out);
    EXPECT_EQ(result.status, mp::ExitStatus::exited(0));
    EXPECT_EQ(result.err, "");
    return unix_lines(result.out);
}

TEST_F(Examples, PoolMapPrintsTheTenResultsInOrder) {
    // print(rslt)
    EXPECT_EQ(output_of("pool_map"), "['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']\n");
}

TEST_F(Examples, MapAsyncKeepsTheOrderThoughEvenTasksSleep) {
    // print(rslt.get())
    EXPECT_EQ(output_of("map_async"), "['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']\n");
}

TEST_F(Examples, ApplyAsyncPrintsOneResultForEachProcessor) {
    // for result in results: print(result.get())
    std::string expected;
    for (std::size_t i = 0; i < mp::cpu_count(); ++i) expected += "task " + std::to_string(i) + "\n";
    EXPECT_EQ(output_of("apply_async"), expected);
}

TEST_F(Examples, SeveralArgumentsTravelInAStructByPartialAndInTuples) {
    EXPECT_EQ(output_of("several_arguments"),
              "[2, 12, 30]\n"           // print(pool.map(area, [[1, 2], [3, 4], [5, 6]]))
              "[0, 1, 4, 9, 16]\n"      // print(pool.map(partial(power, 2), range(5)))
              "['a', 'bb', 'ccc']\n");  // print(pool.starmap(repeat, [('a', 1), ('b', 2), ('c', 3)]))
}

TEST_F(Examples, ProcessesAreMadeFromFunctionsAndClassesAndJoinedWithALimit) {
    EXPECT_EQ(output_of("process_subclass"),
              "hello function\n"  // Process(target=greet, args=('function',))
              "hello class\n"     // class Greeter(Process)
              "still waiting\n"   // w.join(0.1)
              "exit code 0\n");   // w.join(); print('exit code', w.exitcode)
}

TEST_F(Examples, QueuesConnectAProducerAndItsConsumers) {
    // for word, length in sorted(lengths.get() for _ in text): print(word, length)
    EXPECT_EQ(output_of("queue"), "and 3\nconsumers 9\none 3\nproducer 8\nthree 5\n");
}

TEST_F(Examples, AManagersDictCollectsWhatFiveProcessesReturn) {
    std::istringstream lines(output_of("return_dict"));
    std::set<std::string> said;
    std::string line;
    for (int i = 0; i < 5 && std::getline(lines, line); ++i) said.insert(line);
    // print(str(procnum) + ' represent!')
    EXPECT_EQ(said,
              (std::set<std::string>{"0 represent!", "1 represent!", "2 represent!", "3 represent!", "4 represent!"}));
    ASSERT_TRUE(std::getline(lines, line));
    EXPECT_EQ(line, "[0, 1, 2, 3, 4]");  // print(sorted(return_dict.values()))
    EXPECT_FALSE(std::getline(lines, line));
}

TEST_F(Examples, AManagersDictAndListAreChangedByAnotherProcess) {
    EXPECT_EQ(output_of("shared_state"),
              "{1: '1', '2': 2, 0.25: None}\n"      // print(d)
              "[9, 8, 7, 6, 5, 4, 3, 2, 1, 0]\n");  // print(l)
}

TEST_F(Examples, ValuesAndArraysAreSharedAndLocked) {
    EXPECT_EQ(output_of("value_array"),
              "3.1415927\n"                                // print(num.value)
              "[0, -1, -2, -3, -4, -5, -6, -7, -8, -9]\n"  // print(arr[:])
              "4000\n");                                   // print(counter.value)
}

TEST_F(Examples, APipeCarriesAMessageAndItsEnd) {
    // print(parent_conn.recv())
    EXPECT_EQ(output_of("pipe"), "42, not measured, hello\nand that was all\n");
}

TEST_F(Examples, InterruptPrintsItsResultIfNobodyInterrupts) {
    // print(sum(result.get(999999)))
    EXPECT_EQ(output_of("interrupt", {"0"}), "working; Ctrl+C ends it\nsum 4950\n");
}

TEST_F(Examples, CtrlCEndsThePoolAndLeavesNoWorker) {
    const std::vector<std::uint32_t> before = mp::test::descendants();
    mp::test::Program program(path_of("interrupt"), {.args = {"1000"}, .has_own_console = true});
    EXPECT_EQ(program.read_line(), "working; Ctrl+C ends it");
    std::vector<std::uint32_t> started = mp::test::descendants();
    std::erase_if(started, [&](std::uint32_t pid) { return std::ranges::count(before, pid) != 0; });
    EXPECT_GE(started.size(), 1 + mp::cpu_count());  // the program and its workers

    // except KeyboardInterrupt: pool.terminate(); pool.join(); sys.exit(130)
    program.interrupt();
    const mp::test::ProgramResult result = program.finish();
    EXPECT_FALSE(result.timed_out);
    EXPECT_EQ(result.status, mp::ExitStatus::exited(130));
    EXPECT_EQ(unix_lines(result.out), "working; Ctrl+C ends it\ninterrupted\n");
    EXPECT_EQ(result.err, "");
    for (const std::uint32_t pid : started)
        EXPECT_TRUE(mp::test::holds_soon([pid] { return !mp::test::is_running(pid); }))
            << "process " << pid << " survived";
}

}  // namespace
