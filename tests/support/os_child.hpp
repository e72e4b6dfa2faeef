// What the tests of the port layer share: children that run a function chosen by its name, and a piece of shared memory
// through which both sides tell each other what they saw.
//
//   OS_CHILD(answers_seven) { return 7; }
//   TEST_P(Launch, ExitCode) {
//       TestChild child(GetParam(), "answers_seven");
//       EXPECT_EQ(child.wait(), ExitStatus::exited(7));
//   }
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "os.hpp"

namespace multiproc::os::test {

// No event of a healthy machine takes this long; a test that reaches it has failed.
inline constexpr std::chrono::seconds patience{60};

// The shared memory of a test and its child. The first inherited handle is always its segment.
struct Stage {
    std::array<char, 64> function;
    std::array<char, 4096> text;     // what the test tells the child
    std::array<char, 16384> answer;  // what the child tells the test
    std::array<std::atomic<std::uint64_t>, 64> words;
};

// What a child's function has in its hands.
struct ChildArgs {
    Stage& stage;
    Segment& segment;
    std::vector<Handle> handles;  // StartOptions::handles, in that order
    std::uint32_t parent_pid;
};

using ChildFunction = std::uint32_t (*)(ChildArgs& args);

struct Registration {
    Registration(const char* name, ChildFunction function);
};

// Defines the function `name` that a child can run; what it returns is the child's exit code.
#define OS_CHILD(name)                                                                    \
    static std::uint32_t name(::multiproc::os::test::ChildArgs& args);                    \
    static const ::multiproc::os::test::Registration registration_of_##name{#name, name}; \
    static std::uint32_t name([[maybe_unused]] ::multiproc::os::test::ChildArgs& args)

// Puts `text` where the other process reads it. Fails the process if it does not fit.
void set_answer(Stage& stage, const std::string& text);
std::string text_of(const Stage& stage);
std::string answer_of(const Stage& stage);

// Waits until `word` has `value`; false after `patience`. A word in shared memory has no event of its own but those
// that are under test here, so this looks again every millisecond.
bool await_word(const std::atomic<std::uint64_t>& word, std::uint64_t value);

// For a child: sleeps until somebody ends it (or until long after the test gave up).
[[noreturn]] void wait_for_the_end();

struct StartOptions {
    std::string text = {};
    std::vector<RawHandle> handles = {};
    RawHandle out = no_handle;
    RawHandle err = no_handle;
    std::optional<std::string> cwd = {};
    std::optional<std::vector<std::string>> env = {};
    std::string executable = {};
};

// A started child, and its end.
class TestChild {
public:
    // Throws what `launch` throws.
    TestChild(StartMethod method, const std::string& function, const StartOptions& options = {});
    // Kills the child if it still runs, and waits for its end.
    ~TestChild();
    TestChild(const TestChild&) = delete;
    TestChild& operator=(const TestChild&) = delete;

    Child& process() noexcept { return *child_; }
    Stage& stage() noexcept { return *stage_; }
    std::uint64_t word(std::size_t index) const noexcept { return stage_->words[index].load(); }

    // Its end; nothing if that does not come within `patience`.
    std::optional<ExitStatus> wait();
    // How often `on_exit` was called.
    int exits() const;
    // Destroys the Child object; the end is still reported.
    void forget() { child_.reset(); }

private:
    struct End {
        mutable std::mutex mutex;
        std::condition_variable changed;
        std::optional<ExitStatus> status;
        int calls = 0;
    };

    Segment segment_;
    Stage* stage_ = nullptr;
    std::shared_ptr<End> end_ = std::make_shared<End>();
    std::unique_ptr<Child> child_;
};

// The name of a start method, for the names of tests.
std::string name_of(StartMethod method);

// ---- what differs between systems (tests/support/posix, tests/support/win32) --------------------------------------

// A file that is gone when its last handle is closed, open for reading and writing.
Handle temporary_file();
// All that was written to such a file.
std::string contents_of(RawHandle file);
void set_environment(const std::string& name, const std::string& value);

// Waits for the end of a process that need not be a child; false after `patience`.
class ProcessWatch {
public:
    // `pid` must be running now.
    explicit ProcessWatch(std::uint32_t pid);
    bool await_end();

private:
    std::uint32_t pid_;
    std::uint64_t start_time_;
    Handle process_;
};

}  // namespace multiproc::os::test
