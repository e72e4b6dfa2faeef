// Facts about this machine and process, and exit statuses in words.
#include "support/os_child.hpp"

#include <thread>
#include <typeinfo>

#include <multiproc/exit_status.hpp>

namespace multiproc::os::test {
namespace {

TEST(OsSystem, CpuCountIsPositiveAndWithinTheHardware) {
    EXPECT_GE(cpu_count(), 1u);
    if (const unsigned all = std::thread::hardware_concurrency(); all != 0) { EXPECT_LE(cpu_count(), all); }
}

TEST(OsSystem, StartTimeNamesAProcessTogetherWithItsPid) {
    const std::uint32_t pid = current_pid();
    const std::uint64_t time = start_time(pid);
    EXPECT_NE(time, 0u);
    EXPECT_EQ(start_time(pid), time);
    EXPECT_TRUE(is_running(pid, time));
    EXPECT_FALSE(is_running(pid, time + 1));
    EXPECT_TRUE(is_running(pid, 0)) << "any process with this pid will do";
    EXPECT_FALSE(is_running(0, 0));
}

TEST(OsSystem, ANoteOfLifeNamesTheProcessThatTookIt) {
    const std::uint32_t pid = current_pid();
    const std::uint64_t life = note_life();
    EXPECT_NE(life, 0u);
    EXPECT_TRUE(is_still_running(pid, life));
    EXPECT_FALSE(is_still_running(pid, 1)) << "taken when another process may have had this pid";
    EXPECT_TRUE(is_still_running(pid, 0)) << "any process with this pid will do";
    EXPECT_FALSE(is_still_running(0, life));
}

OS_CHILD(lives_until_killed) {
    args.stage.words[0] = 1;
    wait_for_the_end();
}

TEST(OsSystem, AnEndedProcessIsNotRunning) {
    TestChild child(StartMethod::spawn, "lives_until_killed");
    const std::uint32_t pid = child.process().pid();
    const std::uint64_t time = start_time(pid);
    EXPECT_TRUE(is_running(pid, time));
    child.process().signal(Signal::kill);
    ASSERT_TRUE(child.wait().has_value());
    EXPECT_FALSE(is_running(pid, time));
    EXPECT_FALSE(is_running(pid, 0));
}

TEST(OsSystem, ThreadsAreCounted) {
    std::thread([] {}).join();  // ThreadSanitizer starts one of its own with the first
    const std::size_t before = thread_count();
    EXPECT_GE(before, 1u);
    std::atomic<bool> counted{false};
    std::thread other([&] { counted.wait(false); });
    EXPECT_EQ(thread_count(), before + 1);
    counted = true;
    counted.notify_all();
    other.join();
}

struct SomeType {};

TEST(OsSystem, NamesOfTypesAreReadable) {
    EXPECT_NE(demangle(typeid(SomeType).name()).find("SomeType"), std::string::npos);
    EXPECT_EQ(demangle("no mangled name at all"), "no mangled name at all");
}

TEST(OsSystem, ExitStatusInWords) {
    EXPECT_EQ(to_string(ExitStatus::exited(3)), "exited with code 3");
    EXPECT_EQ(to_string(ExitStatus::unknown()), "ended in a way that nobody saw");
    EXPECT_EQ(to_string(ExitStatus::signalled(9)), "killed by SIGKILL");
    EXPECT_EQ(to_string(ExitStatus::signalled(15)), "killed by SIGTERM");
}

}  // namespace
}  // namespace multiproc::os::test
